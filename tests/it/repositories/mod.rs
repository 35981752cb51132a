//! The conformance suite of storage: the same tests on both databases.
