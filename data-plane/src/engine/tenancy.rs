//! Roles and logical databases of a spec, applied by SQL.
//!
//! What is there is read first and only what differs is changed, so that applying a spec again
//! writes nothing, and a node killed anywhere on the way finishes at its next start.
//!
//! Every role that is neither PostgreSQL's nor the platform's was made here: tenants have no right
//! to create roles. Logical databases are different, because the owner role may create its own; the
//! ones made here are recorded in the platform's database by name and object ID, and one that was
//! renamed, or dropped and made again by the tenant, counts as the tenant's own.

use super::admin::{AdminError, AdminSession};
use super::instance_dir::InstanceDir;
use lumadb_contract::instance::{InstanceSpec, LogicalDatabaseSpec, RoleSpec};
use lumadb_contract::name::PLATFORM_ROLE;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tokio_postgres::SimpleQueryRow;

#[derive(Debug, thiserror::Error)]
#[error("roles and logical databases were not applied")]
pub struct ApplyError(#[from] AdminError);

/// Makes the engine's roles and logical databases what `spec` says. The engine runs, and `session`
/// is in the platform's own logical database.
pub async fn tenancy_apply(
    instance: &InstanceDir,
    session: &AdminSession,
    spec: &InstanceSpec,
) -> Result<(), ApplyError> {
    let tenancy = Tenancy {
        socket: instance.engine_socket(),
        session,
        spec,
    };
    let roles = tenancy.roles_read().await?;
    tenancy.roles_make(&roles).await?;
    tenancy.databases_make().await?;
    tenancy.databases_drop().await?;
    tenancy.roles_drop(&roles).await?;
    Ok(())
}

struct Tenancy<'a> {
    socket: PathBuf,
    session: &'a AdminSession,
    spec: &'a InstanceSpec,
}

/// A role as the engine has it.
#[derive(Debug, PartialEq, Eq)]
struct RoleRow {
    verifier: String,
    may_log_in: bool,
    may_create_databases: bool,
    /// It has an attribute that no role of a tenant has, or lacks one that each has.
    odd: bool,
}

impl RoleRow {
    fn is(&self, wanted: &RoleSpec) -> bool {
        self.verifier == wanted.verifier.expose()
            && self.may_log_in
            && self.may_create_databases == wanted.owner
            && !self.odd
    }
}

fn text(row: &SimpleQueryRow, column: usize) -> String {
    row.get(column).unwrap_or_default().to_owned()
}

fn flag(row: &SimpleQueryRow, column: usize) -> bool {
    row.get(column) == Some("t")
}

impl Tenancy<'_> {
    async fn roles_read(&self) -> Result<BTreeMap<String, RoleRow>, AdminError> {
        let sql = "select rolname, coalesce(rolpassword, ''), rolcanlogin, rolcreatedb,
                          rolsuper or rolcreaterole or rolreplication or rolbypassrls
                          or not rolinherit or rolconnlimit <> -1
                          or coalesce(rolvaliduntil, 'infinity') <> 'infinity'
                   from pg_authid where rolname !~ '^(pg|lumadb)_'";
        let rows = self.session.rows("reading the roles", sql).await?;
        let roles = rows.iter().map(|row| {
            let role = RoleRow {
                verifier: text(row, 1),
                may_log_in: flag(row, 2),
                may_create_databases: flag(row, 3),
                odd: flag(row, 4),
            };
            (text(row, 0), role)
        });
        Ok(roles.collect())
    }

    /// Creates and alters in one transaction.
    async fn roles_make(&self, there: &BTreeMap<String, RoleRow>) -> Result<(), AdminError> {
        let mut sql = String::new();
        for wanted in &self.spec.roles {
            let verb = match there.get(wanted.name.as_str()) {
                Some(role) if role.is(wanted) => continue,
                Some(_) => "alter",
                None => "create",
            };
            sql.push_str(&role_statement(verb, wanted));
        }
        if sql.is_empty() {
            return Ok(());
        }
        let sql = format!("begin; {sql} commit");
        self.session.run("creating and altering roles", &sql).await
    }

    async fn databases_make(&self) -> Result<(), AdminError> {
        let sql = "select d.datname, r.rolname, m.oid is not null
                   from pg_database d join pg_roles r on r.oid = d.datdba
                   left join lumadb.logical_databases m on m.name = d.datname and m.oid = d.oid";
        let rows = self.session.rows("reading the databases", sql).await?;
        let there: BTreeMap<_, _> = rows
            .iter()
            .map(|row| (text(row, 0), (text(row, 1), flag(row, 2))))
            .collect();
        for wanted in &self.spec.logical_databases {
            let (owner, recorded) = match there.get(wanted.name.as_str()) {
                Some((owner, recorded)) => (owner.as_str(), *recorded),
                None => (self.database_create(wanted).await?, false),
            };
            if owner != wanted.owner.as_str() {
                let sql = format!(
                    "alter database {} owner to {}",
                    escape_identifier(wanted.name.as_str()),
                    escape_identifier(wanted.owner.as_str()),
                );
                self.session
                    .run("changing a database's owner", &sql)
                    .await?;
            }
            if !recorded {
                self.database_record(wanted).await?;
            }
        }
        Ok(())
    }

    async fn database_create<'b>(
        &self,
        wanted: &'b LogicalDatabaseSpec,
    ) -> Result<&'b str, AdminError> {
        let sql = format!(
            "create database {} owner {}",
            escape_identifier(wanted.name.as_str()),
            escape_identifier(wanted.owner.as_str()),
        );
        self.session.run("creating a database", &sql).await?;
        Ok(wanted.owner.as_str())
    }

    async fn database_record(&self, wanted: &LogicalDatabaseSpec) -> Result<(), AdminError> {
        let sql = format!(
            "insert into lumadb.logical_databases
             select datname, oid from pg_database where datname = {}
             on conflict (name) do update set oid = excluded.oid",
            escape_literal(wanted.name.as_str()),
        );
        self.session.run("recording a database", &sql).await
    }

    /// Drops those made here that are no longer wanted, and forgets those that are gone.
    async fn databases_drop(&self) -> Result<(), AdminError> {
        let sql = "select m.name, d.datname is not null from lumadb.logical_databases m
                   left join pg_database d on d.oid = m.oid and d.datname = m.name";
        let recorded = self.session.rows("reading the databases", sql).await?;
        let wanted = &self.spec.logical_databases;
        for row in recorded {
            let name = text(&row, 0);
            if wanted.iter().any(|wanted| wanted.name.as_str() == name) {
                continue;
            }
            let quoted = escape_identifier(&name);
            if flag(&row, 1) {
                // A template cannot be dropped, and its owner may have made it one.
                let sql = format!("alter database {quoted} is_template false");
                self.session.run("dropping a database", &sql).await?;
                let sql = format!("drop database {quoted} with (force)");
                self.session.run("dropping a database", &sql).await?;
            }
            let literal = escape_literal(&name);
            let sql = format!("delete from lumadb.logical_databases where name = {literal}");
            self.session.run("forgetting a database", &sql).await?;
        }
        Ok(())
    }

    /// Drops roles that are no longer wanted; the owner inherits what they own.
    async fn roles_drop(&self, there: &BTreeMap<String, RoleRow>) -> Result<(), AdminError> {
        let wanted: BTreeSet<_> = self.spec.roles.iter().map(|r| r.name.as_str()).collect();
        let surplus: Vec<_> = there
            .keys()
            .filter(|name| !wanted.contains(name.as_str()))
            .collect();
        if surplus.is_empty() {
            return Ok(());
        }
        for name in &surplus {
            // Committed before sessions are ended: none begins after that.
            let sql = format!("alter role {} nologin", escape_identifier(name));
            self.session.run("closing a role", &sql).await?;
            let sql = format!(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = {}",
                escape_literal(name),
            );
            self.session.run("ending sessions of a role", &sql).await?;
        }
        let owner = self.spec.roles.iter().find(|role| role.owner);
        let heir = owner.map_or(PLATFORM_ROLE, |role| role.name.as_str());
        let sql = "select datname, datallowconn from pg_database where datname <> 'template0'";
        for row in self.session.rows("reading the databases", sql).await? {
            self.hand_over(&text(&row, 0), flag(&row, 1), &surplus, heir)
                .await?;
        }
        for name in surplus {
            let sql = format!("drop role {}", escape_identifier(name));
            self.session.run("dropping a role", &sql).await?;
        }
        Ok(())
    }

    /// Gives what `roles` own in one logical database to `heir` and takes away their rights there.
    async fn hand_over(
        &self,
        database: &str,
        connectable: bool,
        roles: &[&String],
        heir: &str,
    ) -> Result<(), AdminError> {
        let quoted = escape_identifier(database);
        if !connectable {
            // Its owner closed it; no session gets in otherwise, ours included.
            let sql = format!("alter database {quoted} allow_connections true");
            self.session.run("opening a database", &sql).await?;
        }
        let session = AdminSession::open_in(&self.socket, database).await?;
        for role in roles {
            let sql = format!(
                "begin; reassign owned by {role} to {heir}; drop owned by {role}; commit",
                role = escape_identifier(role),
                heir = escape_identifier(heir),
            );
            session.run("handing over what a role owns", &sql).await?;
        }
        if !connectable {
            let sql = format!("alter database {quoted} allow_connections false");
            self.session.run("closing a database", &sql).await?;
        }
        Ok(())
    }
}

fn role_statement(verb: &str, role: &RoleSpec) -> String {
    let create_databases = if role.owner { "createdb" } else { "nocreatedb" };
    format!(
        "{verb} role {} with login nosuperuser nocreaterole noreplication nobypassrls inherit \
         {create_databases} connection limit -1 valid until 'infinity' password {};",
        escape_identifier(role.name.as_str()),
        escape_literal(role.verifier.expose()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::scram::ScramVerifier;

    fn role(owner: bool) -> RoleSpec {
        RoleSpec {
            name: "app".parse().expect("a name"),
            verifier: ScramVerifier::parse("SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy")
                .expect("a verifier"),
            owner,
        }
    }

    #[test]
    fn a_role_of_a_tenant_gets_no_right_of_the_platform() {
        let sql = role_statement("create", &role(true));
        for right in [
            "nosuperuser",
            "nocreaterole",
            "noreplication",
            "nobypassrls",
        ] {
            assert!(sql.contains(right), "{sql}");
        }
        assert!(sql.contains(" createdb "));
        assert!(role_statement("create", &role(false)).contains(" nocreatedb "));
    }

    #[test]
    fn a_role_is_altered_only_when_something_differs() {
        let wanted = role(true);
        let mut there = RoleRow {
            verifier: wanted.verifier.expose().to_owned(),
            may_log_in: true,
            may_create_databases: true,
            odd: false,
        };
        assert!(there.is(&wanted));
        there.odd = true;
        assert!(!there.is(&wanted));
    }
}
