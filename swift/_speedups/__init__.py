"""The compiled kernels of the request path; they import nothing of swift above them."""
