//! Access of each role to each operation.

pub(crate) mod matrix;
mod swapped_ids;
