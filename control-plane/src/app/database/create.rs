//! Creating a database.

use super::connection::{Connection, Target};
use super::{Database, NAME_CHARACTERS_MAX, find};
use crate::app::archive;
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::billing::quote::{self, Asked, ChangeQuote, Proposal};
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::operation::{self, Operation};
use crate::app::role::{self, Role};
use crate::app::state::{Desired, Durability, OperationKind, Undo};
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType, billing};
use crate::store::database::{self, NewDatabase, PlanLimits};
use crate::store::{EitherTx, StoreError, logical_database};
use lumadb_contract::id::{DatabaseId, LogicalDatabaseId, ProjectId};
use lumadb_contract::name::PgName;
use lumadb_contract::network::{self, ALLOWED_NETWORKS_MAX, AllowedNetworks};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// Shortest time without a client after which a database may fall asleep, seconds.
pub(super) const IDLE_TIMEOUT_SECONDS_MIN: u32 = 5;
/// Longest one: 30 days.
pub(super) const IDLE_TIMEOUT_SECONDS_MAX: u32 = 30 * 24 * 3600;

const DEFAULT_ROLE: &str = "owner";
const DEFAULT_LOGICAL_DATABASE: &str = "main";

/// What a new database shall be.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseCreate {
    /// Unique in its project.
    #[schema(min_length = 1, max_length = 63)]
    pub name: String,
    /// The platform's default region if left out.
    pub region: Option<String>,
    /// Compute, thousandths of a vCPU, one of the sizes on offer; the plan's default if left out.
    pub milli_vcpu: Option<i32>,
    #[serde(default)]
    pub deletion_protection: bool,
    /// Name of the first role, which owns everything; `owner` if left out.
    #[schema(max_length = 63)]
    pub owner_role: Option<String>,
    /// Name of the first logical database; `main` if left out.
    #[schema(max_length = 63)]
    pub logical_database: Option<String>,
    /// Seconds without a client after which it falls asleep; the plan's default if left out.
    #[schema(minimum = 5, maximum = 2_592_000)]
    pub idle_timeout_seconds: Option<u32>,
    /// When a client hears that its transaction is committed; `local` if left out.
    pub durability: Option<Durability>,
    /// Networks that clients may come from, such as `203.0.113.0/24` or an address; everywhere if left
    /// out or empty.
    #[serde(default)]
    #[schema(max_items = 64)]
    pub allowed_networks: Vec<String>,
}

/// A new database, with what is needed to connect.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DatabaseCreated {
    pub database: Database,
    pub operation: Operation,
    pub role: Role,
    /// Password of the role.
    pub password: String,
    pub connection: Connection,
}

struct Checked {
    name: String,
    owner_role: PgName,
    logical_database: PgName,
    region: String,
    milli_vcpu: i32,
    idle_timeout_seconds: Option<i32>,
    durability: Durability,
    allowed_networks: Vec<String>,
}

pub async fn database_create(
    platform: &Platform,
    caller: &Caller,
    project: ProjectId,
    request: Option<&IdempotentRequest>,
    dry_run: bool,
    input: DatabaseCreate,
) -> Result<Asked<DatabaseCreated>, AppError> {
    let member = authorize(platform, caller, project, Action::DatabaseWrite).await?;
    let request = request.filter(|_| !dry_run);
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(Asked::Done(answer)),
        Begun::Fresh(change) => change,
    };
    let limits = database::plan_limits(&mut change).await?;
    let checked = check(platform, &mut change, &limits, &input).await?;
    if dry_run {
        let proposal = Proposal::Create {
            region: &checked.region,
            milli_vcpu: checked.milli_vcpu,
        };
        return quote_of(platform, &mut change, proposal)
            .await
            .map(Asked::Quoted);
    }
    check_room(&limits, checked.milli_vcpu)?;
    check_durability(platform, &limits, checked.durability)?;
    let id = DatabaseId::from_uuid(platform.clock.new_uuid());
    let now = platform.clock.now();
    database::insert(
        &mut change,
        &NewDatabase {
            id,
            project,
            name: &checked.name,
            region: &checked.region,
            milli_vcpu: checked.milli_vcpu,
            idle_timeout_seconds: checked.idle_timeout_seconds,
            durability: checked.durability,
            allowed_networks: &checked.allowed_networks,
            deletion_protection: input.deletion_protection,
            now,
        },
    )
    .await
    .map_err(|error| name_taken(error, &checked.name))?;
    archive_make(platform, &mut change, id, checked.durability).await?;
    let (role, password) = role::make(platform, &mut change, id, &checked.owner_role, true).await?;
    let logical = LogicalDatabaseId::from_uuid(platform.clock.new_uuid());
    logical_database::insert(
        &mut change,
        id,
        logical,
        &checked.logical_database,
        role.id,
        now,
    )
    .await?;
    let operation = operation::begin(
        platform,
        &mut change,
        caller,
        id,
        OperationKind::DatabaseCreate,
        1,
        Some(Undo::Desired(Desired::Deleted)),
    )
    .await?;
    change
        .audit(
            AuditAction::DatabaseCreate,
            id,
            json!({ "name": checked.name }),
        )
        .await?;
    let row = find(&mut change, id, false).await?;
    let connection = Target::of(
        &row,
        &checked.owner_role,
        &checked.logical_database,
        Some(password.expose()),
    )
    .connection(platform.settings.ca_certificate_pem.as_deref());
    change
        .commit(DatabaseCreated {
            database: row.into(),
            operation,
            role,
            password: password.expose().to_owned(),
            connection,
        })
        .await
        .map(Asked::Done)
}

/// What a change would cost, instead of making it.
pub(super) async fn quote_of(
    platform: &Platform,
    change: &mut Change,
    proposal: Proposal<'_>,
) -> Result<ChangeQuote, AppError> {
    let organization = change.organization();
    let tx = &mut EitherTx::Tenant(change);
    let now = billing::now(platform, tx).await?;
    quote::quote(platform, tx, organization, proposal, now).await
}

/// Every database has its archive from the first moment, where there are archives at all.
pub(in crate::app) async fn archive_make(
    platform: &Platform,
    change: &mut Change,
    id: DatabaseId,
    durability: Durability,
) -> Result<(), AppError> {
    if let Some(archives) = &platform.archives {
        let organization = change.organization();
        let tx = EitherTx::Tenant(change);
        let clock = &platform.clock;
        archive::make(archives, clock, tx, organization, id, durability).await?;
    }
    Ok(())
}

/// A name that another database of the project has is the caller's to solve.
pub(in crate::app) fn name_taken(error: StoreError, name: &str) -> AppError {
    if error.constraint() == Some(database::NAME_UNIQUE) {
        return AppError::rejected(
            ProblemType::Conflict,
            format!("This project has a database called \u{201c}{name}\u{201d} already."),
        );
    }
    error.into()
}

async fn check(
    platform: &Platform,
    change: &mut Change,
    limits: &PlanLimits,
    input: &DatabaseCreate,
) -> Result<Checked, AppError> {
    let mut fields = FieldErrors::new();
    let name = fields.display_name("name", &input.name, NAME_CHARACTERS_MAX);
    let owner = input.owner_role.as_deref().unwrap_or(DEFAULT_ROLE);
    let owner_role = pg_name(&mut fields, "owner_role", owner);
    let logical = input
        .logical_database
        .as_deref()
        .unwrap_or(DEFAULT_LOGICAL_DATABASE);
    let logical_database = pg_name(&mut fields, "logical_database", logical);
    let region = input
        .region
        .clone()
        .unwrap_or_else(|| platform.settings.default_region.clone());
    if !database::region_exists(change, &region).await? {
        fields.add("region", "there is no such region");
    }
    let milli_vcpu = input
        .milli_vcpu
        .unwrap_or(limits.compute_milli_vcpu_default);
    check_size(change, &mut fields, milli_vcpu).await?;
    let asked = input.idle_timeout_seconds.map(Some);
    let idle_timeout_seconds = match asked {
        Some(asked) => check_idle_timeout(&mut fields, limits, asked),
        None => limits.idle_timeout_seconds,
    };
    let (Some(owner_role), Some(logical_database)) = (owner_role, logical_database) else {
        return Err(fields
            .finish()
            .err()
            .unwrap_or_else(|| AppError::field("owner_role", "is not a name")));
    };
    let allowed_networks = check_networks(&mut fields, &input.allowed_networks);
    fields.finish()?;
    Ok(Checked {
        name,
        owner_role,
        logical_database,
        region,
        milli_vcpu,
        idle_timeout_seconds,
        durability: input.durability.unwrap_or(Durability::Local),
        allowed_networks,
    })
}

/// Whether the plan has room for one more database, of this size.
pub(in crate::app) fn check_room(limits: &PlanLimits, milli_vcpu: i32) -> Result<(), AppError> {
    if limits.is_suspended {
        return Err(unpaid());
    }
    check_compute_quota(limits, milli_vcpu)?;
    if limits
        .databases_max
        .is_some_and(|most| limits.databases >= i64::from(most))
    {
        return Err(quota(format!(
            "The plan {} has room for {} databases, and all are taken.",
            limits.plan, limits.databases
        )));
    }
    Ok(())
}

/// Nothing is begun or added while an organization is suspended.
pub(super) fn unpaid() -> AppError {
    AppError::rejected(
        ProblemType::Conflict,
        "An invoice is not paid: databases go on once it is.",
    )
}

pub(in crate::app) fn quota(detail: String) -> AppError {
    AppError::rejected(ProblemType::QuotaExceeded, detail)
}

pub(in crate::app) fn pg_name(fields: &mut FieldErrors, field: &str, text: &str) -> Option<PgName> {
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            fields.add(field, error.to_string());
            None
        }
    }
}

pub(super) async fn check_size(
    change: &mut Change,
    fields: &mut FieldErrors,
    milli_vcpu: i32,
) -> Result<(), AppError> {
    let sizes = database::compute_sizes(change).await?;
    if !sizes.contains(&milli_vcpu) {
        let sizes: Vec<_> = sizes.iter().map(ToString::to_string).collect();
        fields.add("milli_vcpu", format!("is one of {}", sizes.join(", ")));
    }
    Ok(())
}

pub(super) fn check_compute_quota(limits: &PlanLimits, milli_vcpu: i32) -> Result<(), AppError> {
    if milli_vcpu <= limits.compute_milli_vcpu_max {
        return Ok(());
    }
    Err(quota(format!(
        "The largest database of the plan {} has {} thousandths of a vCPU.",
        limits.plan, limits.compute_milli_vcpu_max
    )))
}

/// Commits wait for an archive where there is one and the plan has it.
pub(super) fn check_durability(
    platform: &Platform,
    limits: &PlanLimits,
    asked: Durability,
) -> Result<(), AppError> {
    if asked == Durability::Local {
        return Ok(());
    }
    if platform.archives.is_none() {
        let text = "`s3` needs an object store, and this installation has none";
        return Err(AppError::field("durability", text));
    }
    if !limits.durability_s3 {
        return Err(quota(format!(
            "The durability `s3` is not part of the plan {}: it comes with Pro: Scale and Enterprise.",
            limits.plan
        )));
    }
    Ok(())
}

/// Where the plan has its databases sleep, one may sleep sooner, but not later.
/// Networks as they are written, each once.
pub(super) fn check_networks(fields: &mut FieldErrors, asked: &[String]) -> Vec<String> {
    let mut networks = Vec::new();
    for text in asked {
        match network::parse(text) {
            Ok(network) => networks.push(network),
            Err(error) => fields.add("allowed_networks", error.to_string()),
        }
    }
    let networks = AllowedNetworks::new(networks);
    fields.check(
        "allowed_networks",
        networks.len() <= ALLOWED_NETWORKS_MAX,
        format!("has at most {ALLOWED_NETWORKS_MAX} networks"),
    );
    networks.to_texts()
}

pub(super) fn check_idle_timeout(
    fields: &mut FieldErrors,
    limits: &PlanLimits,
    asked: Option<u32>,
) -> Option<i32> {
    let most = limits
        .idle_timeout_seconds
        .and_then(|seconds| u32::try_from(seconds).ok());
    match (asked, most) {
        (None, None) => None,
        (None, Some(most)) => {
            fields.add(
                "idle_timeout_seconds",
                format!("cannot be null: databases of this plan sleep after {most} seconds"),
            );
            None
        }
        (Some(seconds), most) => {
            let most = most.unwrap_or(IDLE_TIMEOUT_SECONDS_MAX);
            fields.check(
                "idle_timeout_seconds",
                (IDLE_TIMEOUT_SECONDS_MIN..=most).contains(&seconds),
                format!("is {IDLE_TIMEOUT_SECONDS_MIN} to {most}"),
            );
            i32::try_from(seconds).ok()
        }
    }
}
