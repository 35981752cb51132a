//! All integration tests, in one binary: building and linking once is most of the cost.
