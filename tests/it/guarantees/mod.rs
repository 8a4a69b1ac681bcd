//! What holds when nothing goes wrong, in every mode of order.
