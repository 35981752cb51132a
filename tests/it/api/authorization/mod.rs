//! Access of each role to each operation.

mod matrix;
mod swapped_ids;
