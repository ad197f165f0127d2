"""Settings: three layers, every mistake at once, secrets that do not show."""

from __future__ import annotations

import enum
import pickle
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from swift.settings import Secret, Settings, SettingsError


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    host: str = "localhost"
    port: int = 25
    password: Secret | None = None


class ShopSettings(Settings, frozen=True, kw_only=True):
    stripe_key: Secret
    mail: Mail = Mail(host="mail.internal")
    backup_mail: Mail | None = None
    currencies: list[str] = msgspec.field(default_factory=lambda: ["CHF"])
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 3
    ratio: float = 0.5
    timeout: timedelta = timedelta(seconds=5)
    media: Path = Path("media")
    limits: dict[str, int] = msgspec.field(default_factory=dict)
    nickname: str | None = None


class Window(msgspec.Struct):
    start: int = 1
    end: int = 2

    def __post_init__(self):
        if self.start > self.end:
            raise ValueError("start is after end")


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class WindowSettings(Settings, frozen=True, kw_only=True):
    window: Window = msgspec.field(default_factory=Window)
    levels: list[Level] = msgspec.field(default_factory=list)
    level: Level | None = None


@pytest.fixture
def toml(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "system.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def mistakes(cls=Settings, *, path="system.toml", env=None, prefix="SWIFT_"):
    with pytest.raises(SettingsError) as caught:
        cls.load(path, env or {}, prefix)
    return [mistake.replace(str(path), "system.toml") for mistake in caught.value.mistakes]


# Layers


def test_without_file_and_environment_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings.load(env={})

    assert settings == Settings()
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
    assert settings.http.max_body_size == 10 * 2**20
    assert settings.http.trailing_slash == "redirect"
    assert settings.global_.timezone == "UTC"
    assert settings.database.dsn is None


def test_the_file_is_looked_for_in_the_working_directory(tmp_path, monkeypatch, toml):
    toml("[server]\nport = 9000\n")
    monkeypatch.chdir(tmp_path)

    assert Settings.load(env={}).server.port == 9000


def test_the_environment_of_the_process_is_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWIFT_SERVER__PORT", "9001")

    assert Settings.load().server.port == 9001


def test_every_section_is_read_from_the_file(toml):
    path = toml(
        """
        [global]
        timezone = "Australia/Sydney"
        log_level = "debug"
        debug = true
        secret_key = "s3cret"
        [server]
        host = "::1"
        port = 0
        [http]
        max_body_size = 1024
        trailing_slash = "merge"
        [database]
        host = "db"
        name = "shop"
        user = "u"
        pass = "p"
        port = 5433
        [database.options]
        sslmode = "require"
        [environment]
        FEATURE = true
        [environment.nested]
        depth = 2
        """
    )
    settings = Settings.load(path, {})

    assert settings.global_.timezone == "Australia/Sydney"
    assert settings.global_.log_level == "DEBUG"
    assert settings.global_.debug is True
    assert settings.global_.secret_key == "s3cret"
    assert (settings.server.host, settings.server.port) == ("::1", 0)
    assert (settings.http.max_body_size, settings.http.trailing_slash) == (1024, "merge")
    assert settings.database.dsn == "postgresql://u:p@db:5433/shop?sslmode=require"
    assert settings.environment == {"FEATURE": True, "nested": {"depth": 2}}


def test_the_environment_wins_key_by_key(toml):
    path = toml('[server]\nhost = "0.0.0.0"\nport = 1\n')
    settings = Settings.load(path, {"SWIFT_SERVER__PORT": "2"})

    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 2)


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("HOST", "0.0.0.0", lambda settings: settings.server.host),
        ("PORT", "9999", lambda settings: str(settings.server.port)),
        ("SECRET_KEY", "k", lambda settings: settings.global_.secret_key),
        ("DATABASE_URL", "sqlite:///x.db", lambda settings: settings.database.dsn),
        ("DEBUG", "true", lambda settings: str(settings.global_.debug).lower()),
    ],
)
def test_well_known_variables_count(variable, value, read):
    assert read(Settings.load(env={variable: value})) == value


def test_a_prefixed_variable_wins_over_a_well_known_one():
    assert Settings.load(env={"SWIFT_SERVER__PORT": "1", "PORT": "2"}).server.port == 1


def test_an_empty_well_known_variable_is_not_set():
    assert Settings.load(env={"PORT": "", "DEBUG": ""}) == Settings()


def test_another_prefix_replaces_the_usual_one():
    env = {"SHOP_SERVER__PORT": "1", "SWIFT_SERVER__PORT": "2"}
    assert Settings.load(env=env, prefix="SHOP_").server.port == 1


def test_database_url_replaces_the_database_of_the_file_and_keeps_its_options(toml):
    path = toml('[database]\nhost = "db"\nname = "shop"\n[database.options]\nsslmode = "require"\n')
    settings = Settings.load(path, {"DATABASE_URL": "postgresql://other/x"})

    assert settings.database.dsn == "postgresql://other/x"
    assert settings.database.options == {"sslmode": "require"}


# An application's own settings


def test_a_subclass_adds_fields_and_sections(toml):
    path = toml('stripe_key = "sk"\nretries = 5\nmedia = "/srv"\n[mail]\nport = 587\n')
    settings = ShopSettings.load(path, {})

    assert settings.stripe_key == "sk"
    assert type(settings.stripe_key) is Secret
    assert settings.retries == 5
    assert settings.media == Path("/srv")
    assert settings.mail == Mail(host="mail.internal", port=587), "the rest of a section is its default's"
    assert settings.backup_mail is None


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("RETRIES", " 7 ", "retries", 7),
        ("RATIO", "0.25", "ratio", 0.25),
        ("TIMEOUT", "PT30S", "timeout", timedelta(seconds=30)),
        ("MEDIA", "/srv/media", "media", Path("/srv/media")),
        ("CURRENCIES", "CHF, EUR,,USD", "currencies", ["CHF", "EUR", "USD"]),
        ("CURRENCIES", '["A,B", "C"]', "currencies", ["A,B", "C"]),
        ("CURRENCIES", "", "currencies", []),
        ("LIMITS", '{"a": 1}', "limits", {"a": 1}),
        ("LIMITS__A", "1", "limits", {"a": 1}),
        ("NICKNAME", "", "nickname", ""),
        ("BACKUP_MAIL__HOST", "b", "backup_mail", Mail(host="b")),
        ("MAIL__PORT", "26", "mail", Mail(host="mail.internal", port=26)),
        ("ENVIRONMENT__FEATURE_X", "on", "environment", {"feature_x": "on"}),
    ],
)
def test_a_variable_becomes_the_type_of_its_field(variable, text, field, value):
    settings = ShopSettings.load(env={"SWIFT_STRIPE_KEY": "sk", f"SWIFT_{variable}": text})

    assert getattr(settings, field) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("true", True), ("YES", True), ("on", True), ("0", False), ("No", False), ("off", False)],
)
def test_a_switch_reads_the_usual_words(text, value):
    assert Settings.load(env={"DEBUG": text}).global_.debug is value


def test_settings_cannot_be_changed_after_loading():
    with pytest.raises(AttributeError):
        Settings().http = None  # type: ignore[misc, assignment]


# Mistakes


def test_all_mistakes_are_reported_at_once_one_sentence_each(toml):
    path = toml(
        """
        stripe_kee = "sk"
        retries = 11
        [mail]
        port = "25"
        hots = "x"
        [htpp]
        max_body_size = 1
        """
    )
    env = {"SWIFT_RATIO": "half", "SWIFT_SERVER__PROT": "1", "SWIFT_MIAL__HOST": "x", "PORT": "eighty"}

    assert sorted(mistakes(ShopSettings, path=path, env=env)) == sorted(
        [
            "SWIFT_MIAL__HOST names no setting; did you mean SWIFT_MAIL__HOST?",
            "system.toml: stripe_kee is not a setting; did you mean stripe_key?",
            "system.toml: htpp is not a setting; did you mean http?",
            "PORT: Expected `int`, got `str`.",
            "SWIFT_SERVER__PROT names no setting; did you mean SWIFT_SERVER__PORT?",
            "stripe_key is required; set it in system.toml, or SWIFT_STRIPE_KEY in the environment.",
            "system.toml: [mail] hots is not a setting; did you mean host?",
            "system.toml: [mail] port: Expected `int`, got `str`.",
            "system.toml: retries: Expected `int` <= 10.",
            "SWIFT_RATIO: Expected `float`, got `str`.",
        ]
    )


def test_one_mistake_is_the_whole_message():
    with pytest.raises(SettingsError, match=r"\APORT: Expected `int`, got `str`\.\Z"):
        Settings.load(env={"PORT": "x"})


def test_several_mistakes_are_a_list():
    with pytest.raises(SettingsError) as caught:
        Settings.load(env={"PORT": "x", "DEBUG": "perhaps"})

    assert str(caught.value).splitlines()[0] == "2 mistakes in the settings:"
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[server]\nport = \n", "system.toml is not valid TOML: Invalid value (at line 2, column 8)."),
        (b'name = "\xff"', "system.toml is not UTF-8: byte 8 cannot be decoded."),
        ("server = 3", "system.toml: server is a section; write it as a table, [server]."),
        (
            '[http]\ntrailing_slash = "hunter2"',
            "system.toml: [http] trailing_slash: Expected one of merge, redirect, strict.",
        ),
        ("[server]\nport = 65536", "system.toml: [server] port: Expected `int` <= 65535."),
        ("[global]\ndebug = 1", "system.toml: [global] debug: Expected `bool`, got `int`."),
        (
            '[global]\nlog_level = "LOUD"',
            "system.toml: [global] log_level is none of DEBUG, INFO, WARNING, ERROR, CRITICAL.",
        ),
        (
            '[global]\ntimezone = "Mars/Phobos"',
            "system.toml: [global] timezone is in no IANA database on this machine;"
            " use a name such as Europe/Zurich.",
        ),
        (
            '[database]\nurl = "sqlite:///a"\nhost = "db"\npath = "x"',
            "system.toml: [database] url stands beside host, path; keep the url or its parts.",
        ),
        (
            '[database]\nhost = "db"\npath = "x"',
            "system.toml: [database] path is for SQLite, which has no server; keep path, or host and engine.",
        ),
        (
            '[database]\nengine = "sqlite"',
            "system.toml: [database] engine is sqlite but path is missing; give the file's path or :memory:.",
        ),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(toml, text, sentence):
    assert mistakes(path=toml(text)) == [sentence]


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"SWIFT_SERVER": "x"}, "SWIFT_SERVER is a section; set one of its keys, as in SWIFT_SERVER__KEY."),
        ({"SWIFT_SEVER__PORT": "1"}, "SWIFT_SEVER__PORT names no setting; did you mean SWIFT_SERVER__PORT?"),
        ({"SWIFT_XYZ__PORT": "1"}, "SWIFT_XYZ__PORT names no setting."),
        ({"SWIFT_ENVIRONMNT": "1"}, "SWIFT_ENVIRONMNT names no setting; did you mean SWIFT_ENVIRONMENT?"),
        ({"SWIFT_SERVER__": "1"}, "SWIFT_SERVER__ names no setting."),
        ({"SWIFT_ENVIRONMENT": "{]"}, "SWIFT_ENVIRONMENT: JSON is malformed: object keys must be strings"),
        ({"SWIFT_ENVIRONMENT": "text"}, "SWIFT_ENVIRONMENT: Expected a JSON object."),
        (
            {"SWIFT_DATABASE__HOST": "h", "DATABASE_URL": "x://y"},
            "system.toml and DATABASE_URL and SWIFT_DATABASE__HOST: [database] url stands beside host;"
            " keep the url or its parts.",
        ),
    ],
)
def test_a_mistake_in_the_environment_names_its_variable(env, sentence):
    (found,) = mistakes(env=env)

    assert found.startswith(sentence)


def test_variables_of_other_programs_with_the_same_prefix_are_left_alone():
    env = {"SWIFT_EXEC": "/usr/bin/swiftc", "SWIFT_VERSION": "6", "SWIFT_": "x", "SWIFT_PLATFORM": "linux"}

    assert Settings.load(env=env) == Settings()


def test_a_file_that_was_asked_for_must_exist(tmp_path):
    path = tmp_path / "production.toml"
    with pytest.raises(SettingsError, match=r"production\.toml does not exist; create it"):
        Settings.load(path, {})


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        Settings.load(tmp_path, {})


def test_a_broken_file_does_not_make_its_keys_missing(toml):
    assert mistakes(ShopSettings, path=toml("=")) == [
        "system.toml is not valid TOML: Invalid statement (at line 1, column 1)."
    ]


def test_no_mistake_repeats_a_value(toml):
    path = toml('[database]\nurl = ["hunter2"]\npass = 3\n[global]\nsecret_key = ["hunter2"]\n')
    found = mistakes(path=path, env={"PORT": "hunter2", "SWIFT_HTTP__MAX_BODY_SIZE": "hunter2"})

    assert len(found) == 5
    assert not any("hunter2" in mistake for mistake in found)


def test_a_wrong_member_of_an_enumeration_is_not_repeated():
    env = {"SWIFT_LEVEL": "hunter2", "SWIFT_LEVELS": "low,hunter2"}

    assert sorted(mistakes(WindowSettings, env=env)) == [
        "SWIFT_LEVEL: Expected one of low, high.",
        "SWIFT_LEVELS: Expected one of the permitted values - at `$[1]`.",
    ]


def test_a_section_may_refuse_its_values(toml):
    assert mistakes(WindowSettings, path=toml("[window]\nstart = 3"), env={"SWIFT_WINDOW__END": "2"}) == [
        "system.toml and SWIFT_WINDOW__END: [window] start is after end."
    ]


def test_an_error_survives_pickling_so_a_worker_can_report_it():
    error = pickle.loads(pickle.dumps(SettingsError(["a.", "b."])))

    assert error.mistakes == ("a.", "b.")


# Secrets


def test_a_secret_is_text_that_does_not_show_itself():
    secret = Secret("hunter2")

    assert secret == "hunter2"
    assert isinstance(secret, str)
    assert repr(secret) == "***"
    assert "Bearer " + secret == "Bearer hunter2"


def test_the_repr_of_settings_hides_secrets():
    settings = ShopSettings.load(
        env={
            "SWIFT_STRIPE_KEY": "hunter2",
            "SECRET_KEY": "hunter2",
            "DATABASE_URL": "postgresql://u:hunter2@h/d",
            "SWIFT_MAIL__PASSWORD": "hunter2",
        }
    )
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in repr(settings.database.dsn)


# The database


@pytest.mark.parametrize(
    ("table", "dsn"),
    [
        ({"path": "app.db"}, "sqlite:///app.db"),
        ({"path": ":memory:"}, "sqlite:///:memory:"),
        ({"path": "/srv/app.db", "engine": "sqlite"}, "sqlite:////srv/app.db"),
        ({"name": "shop"}, "postgresql://localhost/shop"),
        ({"host": "::1", "name": "shop", "port": 1}, "postgresql://[::1]:1/shop"),
        ({"engine": "mssql", "host": "h", "user": "sa", "pass": "p@s/s:w"}, "mssql://sa:p%40s%2Fs%3Aw@h/"),
        (
            {"name": "a", "options": {"ssl": True, "connect_timeout": 3}},
            "postgresql://localhost/a?ssl=true&connect_timeout=3",
        ),
    ],
)
def test_the_dsn_is_composed_of_the_parts(toml, table, dsn):
    options = table.pop("options", {})
    lines = [f"{key} = {value!r}" for key, value in table.items()]
    lines += ["[database.options]", *(f"{key} = {str(value).lower()}" for key, value in options.items())]
    settings = Settings.load(toml("[database]\n" + "\n".join(lines)), {})

    assert settings.database.dsn == dsn
