//! One test a hazard: what breaks programs of this kind in production, done to ours on purpose.
