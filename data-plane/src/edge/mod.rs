//! Routing, authentication, wake and TLS in front of the nodes of a region.
