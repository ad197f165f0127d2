/* Numbers to text and back: integers, shortest floats, numeric. */

#include <stdlib.h>

#include "pg_powers.h"
#include "pg_values.h"

static const char DIGIT_PAIRS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051"
    "525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/* ---- integers -------------------------------------------------------------------------------------- */

static unsigned decimal_length(uint64_t value) {
    unsigned length = 1;
    for (;;) {
        if (value < 10) return length;
        if (value < 100) return length + 1;
        if (value < 1000) return length + 2;
        if (value < 10000) return length + 3;
        value /= 10000;
        length += 4;
    }
}

/* Exactly `length` digits. */
static void put_digits(uint64_t value, char *out, unsigned length) {
    while (length >= 2) {
        length -= 2;
        memcpy(out + length, DIGIT_PAIRS + 2 * (value % 100), 2);
        value /= 100;
    }
    if (length) out[0] = (char)('0' + value % 10);
}

size_t pg_text_u64(uint64_t value, char *out) {
    unsigned length = decimal_length(value);
    put_digits(value, out, length);
    return length;
}

size_t pg_text_i64(int64_t value, char *out) {
    if (value >= 0) return pg_text_u64((uint64_t)value, out);
    out[0] = '-';
    return 1 + pg_text_u64(~(uint64_t)value + 1, out + 1);
}

/* ---- shortest floats ------------------------------------------------------------------------------- */
/* Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2020): of the decimals inside the
 * rounding interval of a float, the shortest, and of these the closest. */

static uint64_t multiply_high(uint64_t a, uint64_t b, uint64_t *low) {
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    *low = (uint64_t)product;
    return (uint64_t)(product >> 64);
#else
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0, p11 = a1 * b1;
    uint64_t middle = (p00 >> 32) + (uint32_t)p01 + (uint32_t)p10;
    *low = (middle << 32) | (uint32_t)p00;
    return p11 + (p01 >> 32) + (p10 >> 32) + (middle >> 32);
#endif
}

typedef struct decimal {
    uint64_t digits;
    int exponent;
} decimal;

/* floor(e * log10(2)), floor(log10(3/4 * 2^e)) and floor(e * log2(10)) for the exponents that occur. */
static int floor_log10_pow2(int e, bool three_quarters) {
    int product = e * 1262611 - (three_quarters ? 524031 : 0);
    return product >= 0 ? product >> 22 : -((-product + (1 << 22) - 1) >> 22);
}

static int floor_log2_pow10(int e) {
    int product = e * 1741647;
    return product >= 0 ? product >> 19 : -((-product + (1 << 19) - 1) >> 19);
}

static uint64_t scale_to_odd_128(const uint64_t power[2], uint64_t value) {
    uint64_t ignored, low;
    uint64_t carried = multiply_high(power[1], value, &ignored);
    uint64_t high = multiply_high(power[0], value, &low);
    low += carried;
    if (low < carried) high++;
    return high | (low > 1);
}

static uint64_t scale_to_odd_64(uint64_t power, uint64_t value) {
    uint64_t low;
    uint64_t high = multiply_high(power, value, &low);
    return high | ((low >> 32) > 1);
}

/* Between lower and upper (four times the value in units of 10^k), the shortest and closest decimal. */
static decimal choose(uint64_t below, uint64_t at, uint64_t above, bool even, int k) {
    uint64_t lower = below + !even;
    uint64_t upper = above - !even;
    uint64_t s = at / 4;
    decimal result;
    bool down, up;
    if (s >= 10) {
        uint64_t tens = s / 10;
        down = lower <= 40 * tens;
        up = 40 * tens + 40 <= upper;
        if (down != up) {
            result.digits = tens + up;
            result.exponent = k + 1;
            return result;
        }
    }
    down = lower <= 4 * s;
    up = 4 * s + 4 <= upper;
    result.exponent = k;
    if (down != up) {
        result.digits = s + up;
    } else {
        uint64_t middle = 4 * s + 2;
        result.digits = s + (at > middle || (at == middle && (s & 1)));
    }
    return result;
}

static decimal shortest_f64(uint64_t bits) {
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int biased = (int)((bits >> 52) & 0x7ff);
    uint64_t c;
    int q, k, shift;
    bool closer;
    const uint64_t *power;
    if (biased) {
        c = fraction | (UINT64_C(1) << 52);
        q = biased - 1075;
        if (q <= 0 && q > -53 && (c & ((UINT64_C(1) << -q) - 1)) == 0) {
            decimal whole = {c >> -q, 0}; /* an integer is its own shortest decimal, but for trailing zeros */
            return whole;
        }
    } else {
        c = fraction;
        q = -1074;
    }
    closer = fraction == 0 && biased > 1;
    k = floor_log10_pow2(q, closer);
    shift = q + floor_log2_pow10(-k) + 1;
    power = PG_POWERS128[-k - PG_POWER128_FIRST];
    return choose(scale_to_odd_128(power, (4 * c - 2 + closer) << shift), scale_to_odd_128(power, (4 * c) << shift),
                  scale_to_odd_128(power, (4 * c + 2) << shift), (c & 1) == 0, k);
}

static decimal shortest_f32(uint32_t bits) {
    uint32_t fraction = bits & ((1u << 23) - 1);
    int biased = (int)((bits >> 23) & 0xff);
    uint64_t c, power;
    int q, k, shift;
    bool closer;
    if (biased) {
        c = fraction | (1u << 23);
        q = biased - 150;
    } else {
        c = fraction;
        q = -149;
    }
    closer = fraction == 0 && biased > 1;
    k = floor_log10_pow2(q, closer);
    shift = q + floor_log2_pow10(-k) + 1;
    power = PG_POWERS64[-k - PG_POWER64_FIRST];
    return choose(scale_to_odd_64(power, (4 * c - 2 + closer) << shift), scale_to_odd_64(power, (4 * c) << shift),
                  scale_to_odd_64(power, (4 * c + 2) << shift), (c & 1) == 0, k);
}

static size_t put_decimal(decimal value, bool negative, char *out) {
    char *start = out;
    int length, point;
    if (negative) *out++ = '-';
    if (value.digits == 0) {
        memcpy(out, "0.0", 3);
        return (size_t)(out + 3 - start);
    }
    /* Up to 16 zeros, in steps of 8, 4, 2, 1. */
    while (value.digits % 100000000 == 0) {
        value.digits /= 100000000;
        value.exponent += 8;
    }
    if (value.digits % 10000 == 0) {
        value.digits /= 10000;
        value.exponent += 4;
    }
    if (value.digits % 100 == 0) {
        value.digits /= 100;
        value.exponent += 2;
    }
    if (value.digits % 10 == 0) {
        value.digits /= 10;
        value.exponent += 1;
    }
    length = (int)decimal_length(value.digits);
    point = length + value.exponent; /* digits before the decimal point */
    if (point > 16 || point < -4) {
        int exponent = point - 1;
        put_digits(value.digits, out + 1, (unsigned)length);
        out[0] = out[1];
        if (length > 1) {
            out[1] = '.';
            out += length + 1;
        } else {
            out += 1;
        }
        *out++ = 'e';
        return (size_t)(out - start) + pg_text_i64(exponent, out);
    }
    if (point <= 0) {
        memcpy(out, "0.0000", 6);
        put_digits(value.digits, out + 2 - point, (unsigned)length);
        out += 2 - point + length;
    } else if (point >= length) {
        put_digits(value.digits, out, (unsigned)length);
        memset(out + length, '0', (size_t)(point - length));
        memcpy(out + point, ".0", 2);
        out += point + 2;
    } else {
        put_digits(value.digits, out + 1, (unsigned)length);
        memmove(out, out + 1, (size_t)point);
        out[point] = '.';
        out += length + 1;
    }
    return (size_t)(out - start);
}

size_t pg_text_f64(double value, char *out) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    decimal zero = {0, 0};
    return put_decimal(bits << 1 ? shortest_f64(bits) : zero, bits >> 63, out);
}

size_t pg_text_f32(float value, char *out) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    decimal zero = {0, 0};
    return put_decimal(bits << 1 ? shortest_f32(bits) : zero, bits >> 31, out);
}

double pg_f32_shortest(float value) {
    static const double TENS[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint32_t bits;
    decimal shortest;
    double result;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7f800000) == 0x7f800000 || (bits << 1) == 0) return value;
    shortest = shortest_f32(bits);
    if (shortest.exponent >= 0 && shortest.exponent <= 22) {
        result = (double)shortest.digits * TENS[shortest.exponent];
    } else if (shortest.exponent < 0 && shortest.exponent >= -22) {
        result = (double)shortest.digits / TENS[-shortest.exponent];
    } else {
        char text[PG_INT_TEXT + 8];
        size_t length = pg_text_u64(shortest.digits, text);
        text[length++] = 'e';
        length += pg_text_i64(shortest.exponent, text + length);
        text[length] = 0;
        result = strtod(text, NULL);
    }
    return bits >> 31 ? -result : result;
}

float pg_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1f;
    uint32_t fraction = half & 0x3ff;
    uint32_t bits;
    float value;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | fraction << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else if (fraction == 0) {
        bits = sign;
    } else {
        /* Subnormal: shift until the leading bit is the implicit one. */
        exponent = 113;
        while (!(fraction & 0x400)) {
            fraction <<= 1;
            exponent--;
        }
        bits = sign | exponent << 23 | (fraction & 0x3ff) << 13;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t pg_f32_to_f16(float value) {
    uint32_t bits, magnitude, rounded;
    uint16_t sign;
    memcpy(&bits, &value, sizeof bits);
    sign = (uint16_t)(bits >> 16 & 0x8000);
    magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return sign | 0x7e00;
    if (magnitude >= 0x47800000) return sign | 0x7c00;
    if (magnitude < 0x38800000) {
        /* Subnormal or zero: the fraction with its implicit bit, shifted into units of 2^-24. */
        uint32_t exponent = magnitude >> 23;
        uint32_t fraction = (magnitude & 0x7fffff) | 0x800000;
        uint32_t shift = 126 - exponent;
        uint32_t half, rest;
        if (shift > 24) return sign;
        half = fraction >> shift;
        rest = fraction & ((1u << shift) - 1);
        if (rest > 1u << (shift - 1) || (rest == 1u << (shift - 1) && (half & 1))) half++;
        return (uint16_t)(sign | half);
    }
    rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
}

/* ---- numeric --------------------------------------------------------------------------------------- */

#define NUMERIC_MAX_SCALE 16383
#define NUMERIC_MAX_BEFORE_POINT 131072

pg_status pg_numeric_read(const uint8_t *data, size_t length, pg_numeric *out) {
    uint16_t i;
    if (length < 8) return PG_MALFORMED;
    out->count = pg_load_u16(data);
    out->weight = pg_load_i16(data + 2);
    out->sign = pg_load_u16(data + 4);
    out->scale = pg_load_u16(data + 6);
    out->digits = data + 8;
    if (length - 8 != (size_t)out->count * 2 || out->scale > NUMERIC_MAX_SCALE) return PG_MALFORMED;
    switch (out->sign) {
    case PG_NUMERIC_POSITIVE:
    case PG_NUMERIC_NEGATIVE:
        break;
    case PG_NUMERIC_NAN:
    case PG_NUMERIC_INFINITY:
    case PG_NUMERIC_MINUS_INFINITY:
        return out->count == 0 ? PG_OK : PG_MALFORMED;
    default:
        return PG_MALFORMED;
    }
    for (i = 0; i < out->count; i++) {
        if (pg_load_u16(out->digits + 2 * i) > 9999) return PG_MALFORMED;
    }
    return PG_OK;
}

bool pg_numeric_small(const pg_numeric *n, uint64_t *coefficient, int *digits) {
    static const uint64_t TENS[19] = {1u,
                                      10u,
                                      100u,
                                      1000u,
                                      10000u,
                                      100000u,
                                      1000000u,
                                      10000000u,
                                      100000000u,
                                      1000000000u,
                                      10000000000u,
                                      100000000000u,
                                      1000000000000u,
                                      10000000000000u,
                                      100000000000000u,
                                      1000000000000000u,
                                      10000000000000000u,
                                      100000000000000000u,
                                      1000000000000000000u};
    uint64_t value = 0;
    int32_t shift;
    uint16_t i;
    if (n->sign != PG_NUMERIC_POSITIVE && n->sign != PG_NUMERIC_NEGATIVE) return false;
    if (n->count > 4) return false;
    for (i = 0; i < n->count; i++) value = value * 10000 + pg_load_u16(n->digits + 2 * i);
    if (value) {
        /* Decimal places the last group stands away from the last digit of the scale. */
        shift = 4 * (n->weight - (n->count - 1)) + n->scale;
        if (shift >= 0) {
            if (shift > 18 || value > (TENS[18] - 1) / TENS[shift]) return false;
            value *= TENS[shift];
        } else {
            if (shift < -18 || value % TENS[-shift]) return false;
            value /= TENS[-shift];
        }
    }
    if (value >= TENS[18]) return false;
    *coefficient = value;
    *digits = (int)decimal_length(value);
    return true;
}

size_t pg_numeric_text_size(const pg_numeric *n) {
    /* Sign, digits before the point, point, digits after it, and "E-" with up to five digits. */
    return (n->weight >= 0 ? ((size_t)n->weight + 1) * 4 : 1) + n->scale + 16;
}

static uint16_t numeric_digit(const pg_numeric *n, int32_t index) {
    return index >= 0 && index < n->count ? pg_load_u16(n->digits + 2 * index) : 0;
}

static bool special_text(const pg_numeric *n, char *out, size_t *length) {
    const char *text;
    switch (n->sign) {
    case PG_NUMERIC_NAN:
        text = "NaN";
        break;
    case PG_NUMERIC_INFINITY:
        text = "Infinity";
        break;
    case PG_NUMERIC_MINUS_INFINITY:
        text = "-Infinity";
        break;
    default:
        return false;
    }
    *length = strlen(text);
    memcpy(out, text, *length);
    return true;
}

static void put_fraction(const pg_numeric *n, char *out) {
    int32_t index = n->weight + 1;
    uint16_t left = n->scale;
    char group[4];
    /* The fraction's groups; those before the first digit are zeros. */
    if (n->weight < -1) {
        uint32_t zeros = (uint32_t)(-1 - n->weight) * 4;
        if (zeros > left) zeros = left;
        memset(out, '0', zeros);
        out += zeros;
        left = (uint16_t)(left - zeros);
        index = 0;
    }
    for (; left; index++) {
        uint16_t take = left < 4 ? left : 4;
        put_digits(numeric_digit(n, index), group, 4);
        memcpy(out, group, take);
        out += take;
        left = (uint16_t)(left - take);
    }
}

size_t pg_numeric_text(const pg_numeric *n, char *out) {
    char *start = out;
    size_t length;
    int32_t index;
    if (special_text(n, out, &length)) return length;
    if (n->sign == PG_NUMERIC_NEGATIVE) *out++ = '-';
    if (n->weight < 0) {
        *out++ = '0';
    } else {
        out += pg_text_u64(numeric_digit(n, 0), out);
        for (index = 1; index <= n->weight; index++, out += 4) put_digits(numeric_digit(n, index), out, 4);
    }
    if (n->scale) {
        *out++ = '.';
        put_fraction(n, out);
        out += n->scale;
    }
    return (size_t)(out - start);
}

size_t pg_numeric_text_scientific(const pg_numeric *n, char *out) {
    char *start = out;
    size_t length, zeros, digits;
    if (special_text(n, out, &length)) return length;
    /* Positional while the first significant digit is at most six places behind the point. */
    length = pg_numeric_text(n, out);
    if (n->sign == PG_NUMERIC_NEGATIVE) start++;
    if (n->scale <= 6 || start[0] != '0' || start[1] != '.') return length;
    /* "0." and the scale's digits. */
    digits = n->scale;
    for (zeros = 0; zeros < digits && start[2 + zeros] == '0'; zeros++) {
    }
    if (zeros == digits) zeros--; /* a zero has one digit: the last */
    if (zeros < 6) return length;
    digits -= zeros;
    start[0] = start[2 + zeros];
    if (digits > 1) {
        memmove(start + 2, start + 3 + zeros, digits - 1);
        start[1] = '.';
        start += digits + 1;
    } else {
        start += 1;
    }
    *start++ = 'E';
    *start++ = '-';
    start += pg_text_u64(zeros + 1, start);
    return (size_t)(start - out);
}

static bool equals_word(const char *text, size_t length, const char *word) {
    size_t i;
    if (strlen(word) != length) return false;
    for (i = 0; i < length; i++) {
        if ((text[i] | 0x20) != word[i]) return false;
    }
    return true;
}

static void put_special(pg_writer *w, uint16_t sign) {
    pg_put_u16(w, 0);
    pg_put_u16(w, 0);
    pg_put_u16(w, sign);
    pg_put_u16(w, 0);
}

/* The digits of a decimal text, the point skipped, counted from its first significant one. */
typedef struct digit_run {
    const char *text;
    size_t length; /* of the text */
    size_t point;  /* where the point stands in the text, or `length` */
} digit_run;

static unsigned run_digit(const digit_run *run, int64_t index, int64_t count) {
    size_t at;
    if (index < 0 || index >= count) return 0;
    at = (size_t)index;
    if (at >= run->point) at++;
    return (unsigned)(run->text[at] - '0');
}

pg_status pg_numeric_write(pg_writer *w, const char *text, size_t length) {
    uint16_t sign = PG_NUMERIC_POSITIVE;
    digit_run run;
    size_t i = 0, end, digits = 0;
    int64_t exponent = 0, before, scale, first, last, weight, groups, group;
    bool exponent_negative = false;
    if (length && (text[0] == '-' || text[0] == '+')) {
        if (text[0] == '-') sign = PG_NUMERIC_NEGATIVE;
        i = 1;
    }
    if (equals_word(text + i, length - i, "nan")) {
        put_special(w, PG_NUMERIC_NAN);
        return w->status;
    }
    if (equals_word(text + i, length - i, "inf") || equals_word(text + i, length - i, "infinity")) {
        put_special(w, sign ? PG_NUMERIC_MINUS_INFINITY : PG_NUMERIC_INFINITY);
        return w->status;
    }
    run.text = text + i;
    run.point = SIZE_MAX;
    for (end = i; end < length; end++) {
        if (text[end] >= '0' && text[end] <= '9') {
            digits++;
        } else if (text[end] == '.' && run.point == SIZE_MAX) {
            run.point = end - i;
        } else {
            break;
        }
    }
    if (digits == 0) return PG_MALFORMED;
    run.length = end - i;
    if (run.point == SIZE_MAX) run.point = run.length;
    if (end < length) {
        if (text[end] != 'e' && text[end] != 'E') return PG_MALFORMED;
        end++;
        if (end < length && (text[end] == '-' || text[end] == '+')) exponent_negative = text[end++] == '-';
        if (end == length) return PG_MALFORMED;
        for (; end < length; end++) {
            if (text[end] < '0' || text[end] > '9') return PG_MALFORMED;
            if (exponent < 100000000) exponent = exponent * 10 + (text[end] - '0');
        }
        if (exponent_negative) exponent = -exponent;
    }
    /* Digits are numbered from the first of the text; `before` of them stand before the point. */
    before = (int64_t)run.point + exponent;
    scale = (int64_t)digits - before;
    if (scale < 0) scale = 0;
    for (first = 0; first < (int64_t)digits && run_digit(&run, first, (int64_t)digits) == 0; first++) {
    }
    if (first == (int64_t)digits) {
        /* Zero; the server knows no negative one. */
        if (scale > NUMERIC_MAX_SCALE) return PG_RANGE;
        pg_put_u16(w, 0);
        pg_put_u16(w, 0);
        pg_put_u16(w, PG_NUMERIC_POSITIVE);
        pg_put_u16(w, (uint16_t)scale);
        return w->status;
    }
    if (scale > NUMERIC_MAX_SCALE || before - first > NUMERIC_MAX_BEFORE_POINT) return PG_RANGE;
    for (last = (int64_t)digits - 1; run_digit(&run, last, (int64_t)digits) == 0; last--) {
    }
    /* Group g holds the digits before - 4 * (g + 1) .. before - 4 * g - 1, the weight being g. */
    weight = before - first - 1 >= 0 ? (before - first - 1) / 4 : -((4 - (before - first)) / 4);
    groups = (last - (before - 4 * (weight + 1))) / 4 + 1;
    pg_put_u16(w, (uint16_t)groups);
    pg_put_i16(w, (int16_t)weight);
    pg_put_u16(w, sign);
    pg_put_u16(w, (uint16_t)scale);
    if (!pg_writer_reserve(w, (size_t)groups * 2)) return w->status;
    for (group = 0; group < groups; group++) {
        int64_t at = before - 4 * (weight + 1) + 4 * group;
        pg_put_u16(w, (uint16_t)(run_digit(&run, at, (int64_t)digits) * 1000 +
                                 run_digit(&run, at + 1, (int64_t)digits) * 100 +
                                 run_digit(&run, at + 2, (int64_t)digits) * 10 +
                                 run_digit(&run, at + 3, (int64_t)digits)));
    }
    return w->status;
}
