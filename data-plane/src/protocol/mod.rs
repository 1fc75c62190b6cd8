//! The tenants' protocols, one folder each.
