//! Op-by-op comparison of two executors.
