//! Passwords, tokens, sessions: the cryptography of who somebody is. No SQL, no HTTP.
