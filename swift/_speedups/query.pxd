cdef object decode_component(const char* text, Py_ssize_t length)
cdef list split_pairs(bytes query, Py_ssize_t max_fields)
