//! Order between the two engines: which commands conflict, which ids make them wait, and proof that nothing is missing.
