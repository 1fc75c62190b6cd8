//! The HTTP API: one endpoint a file; parse, call `app`, convert. No SQL and no decision.
