//! Organizations with databases and a month of usage, written where the control plane keeps them.

use crate::world::World;
use lumadb_contract::id::DatabaseId;
use lumadb_e2e::Outcome;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

/// Databases of each organization.
pub(super) const DATABASES_EACH: usize = 5;

/// Hours of the month with usage.
pub(super) const HOURS: usize = 720;

/// Organizations of this run so far: each has a number, and its IDs are made from it.
static INSERTED: AtomicUsize = AtomicUsize::new(0);

/// A number of organizations that follow each other.
pub(super) struct Customers {
    first: usize,
    count: usize,
}

impl Customers {
    /// Organizations that owe nothing yet, whose databases stand still.
    pub(super) async fn insert(world: &World, count: usize) -> Outcome<Self> {
        let first = INSERTED.fetch_add(count, Ordering::Relaxed);
        let this = Self { first, count };
        let (org, project, database) = (id(1, "o"), id(2, "o"), id(3, DATABASE));
        let script = format!(
            "begin;
             insert into organizations (id, name, plan_id, created_at)
             select {org}, 'Bench ' || o, 'pro-payg', now() - interval '3 months' from {orgs} o;
             insert into projects (id, organization_id, name, created_at)
             select {project}, {org}, 'default', now() from {orgs} o;
             insert into databases (id, organization_id, project_id, name, region, created_at,
                 updated_at, desired, milli_vcpu, observed, observed_generation, look_at)
             select {database}, {org}, {project}, 'd' || d, (select min(name) from regions),
                 now() - interval '3 months', now(), 'suspended', 1000, 'suspended', 1,
                 now() + interval '1 day'
             from {orgs} o, {databases} d;
             insert into subscriptions (id, organization_id, plan_id, starts_at, created_by)
             select {org}, {org}, 'pro-payg', now() - interval '3 months', 'system'
             from {orgs} o;
             insert into billing_customers (organization_id, standing_since, open_period)
             select {org}, now() - interval '3 months', {NEXT_MONTH} from {orgs} o;
             commit; analyze",
            orgs = this.organizations(),
            databases = databases(),
        );
        world.control_sql(&script).await?;
        Ok(this)
    }

    /// Hours and compute of all of this month, as if it were over.
    pub(super) async fn use_this_month(&self, world: &World) -> Outcome<()> {
        let (org, database) = (id(1, "o"), id(3, DATABASE));
        let script = format!(
            "begin;
             insert into usage_hours (database_id, organization_id, starts_at, requests, errors,
                 transfer_out_bytes, vector_operations, connections_opened, storage_byte_us)
             select {database}, {org}, {THIS_MONTH} + h * interval '1 hour', 1000 + h, 0,
                 1000000 * h, h, 1, 3600000000::numeric * 1000000000
             from {orgs} o, {databases} d, generate_series(0, {HOURS} - 1) h;
             insert into compute_spans (database_id, organization_id, incarnation_id, started_at,
                 reported_at, ended_at, seen_at, milli_vcpu)
             select {database}, {org}, {database}, {THIS_MONTH}, {THIS_MONTH},
                 {THIS_MONTH} + interval '20 days', {THIS_MONTH} + interval '20 days', 1000
             from {orgs} o, {databases} d;
             commit; analyze usage_hours; analyze compute_spans",
            orgs = self.organizations(),
            databases = databases(),
        );
        world.control_sql(&script).await?;
        Ok(())
    }

    /// From now on this month is due: billing's clock is in the next one, past the time in which
    /// usage is waited for.
    pub(super) async fn owe_this_month(&self, world: &World) -> Outcome<()> {
        let script = format!(
            "begin;
             update billing_customers set open_period = ({THIS_MONTH} at time zone 'UTC')::date
             where organization_id in (select {} from {} o);
             update billing_clock set ahead_us = extract(epoch from
                 {NEXT_MONTH}::timestamp at time zone 'UTC' + interval '13 hours' - now()) * 1000000;
             commit",
            id(1, "o"),
            self.organizations()
        );
        world.control_sql(&script).await?;
        Ok(())
    }

    /// How many of them have their invoice.
    pub(super) async fn invoices(&self, world: &World) -> Outcome<usize> {
        let open = format!(
            "select count(*) from billing_customers where open_period < {NEXT_MONTH}
             and organization_id in (select {} from {} o)",
            id(1, "o"),
            self.organizations()
        );
        let open: usize = world.control_sql(&open).await?.trim().parse()?;
        Ok(self.count - open)
    }

    /// The first of their databases.
    pub(super) fn databases(&self, count: usize) -> Vec<DatabaseId> {
        let first = self.first * DATABASES_EACH;
        (first..first + count)
            .map(|number| DatabaseId::from_uuid(Uuid::from_u128((3 << 96) + number as u128)))
            .collect()
    }

    fn organizations(&self) -> String {
        let last = self.first + self.count - 1;
        format!("generate_series({}, {last})", self.first)
    }
}

const THIS_MONTH: &str = "(date_trunc('month', now() at time zone 'UTC') at time zone 'UTC')";

const NEXT_MONTH: &str =
    "(date_trunc('month', now() at time zone 'UTC') + interval '1 month')::date";

/// Number of a database among all, from those of organization and of the database in it.
const DATABASE: &str = "(o * 5 + d)";

fn databases() -> String {
    format!("generate_series(0, {DATABASES_EACH} - 1)")
}

/// A UUID from a kind and a number, as SQL.
fn id(kind: u8, number: &str) -> String {
    format!("('0000000{kind}-0000-0000-0000-' || lpad(to_hex({number}), 12, '0'))::uuid")
}
