//! Samples are forgotten after a while; what they added up to is not.

use crate::support::{START, TestCloud};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use lumadb_control_plane::app::housekeeping::sweep_samples;
use lumadb_control_plane::runtime::Reports;
use time::Duration;
use uuid::Uuid;

const DAY: Duration = Duration::days(1);

fn sample(sequence: u64, after: Duration) -> UsageSample {
    UsageSample {
        incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(1)),
        sequence,
        taken_at: START + after,
        counters: UsageCounters {
            requests: sequence * 10,
            ..UsageCounters::default()
        },
        gauges: UsageGauges {
            storage_bytes: 1000,
            connections: 1,
        },
        last: false,
    }
}

struct Kept {
    cloud: TestCloud,
    id: DatabaseId,
    reports: Reports,
}

async fn kept() -> Kept {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let (id, _) = cloud.created(&ada, "a").await;
    Kept {
        reports: Reports::new(cloud.platform.store.clone(), cloud.clock.clone()),
        cloud,
        id,
    }
}

impl Kept {
    async fn take(&self, samples: &[UsageSample]) {
        let taken = self.reports.samples(self.id, samples).await;
        taken.expect("taken");
    }

    async fn sweep(&self) {
        sweep_samples(&self.cloud.platform).await.expect("swept");
    }

    /// Where each sample lies, by sequence.
    async fn places(&self) -> Vec<(i64, String)> {
        sqlx::query_as("select sequence, tableoid::regclass::text from usage_samples order by 1")
            .fetch_all(&self.cloud.admin)
            .await
            .expect("samples")
    }

    async fn partitions(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select inhrelid::regclass::text from pg_inherits
             where inhparent = 'usage_samples'::regclass order by 1",
        )
        .fetch_all(&self.cloud.admin)
        .await
        .expect("partitions")
    }

    /// Hours and marks, which stay whatever is forgotten.
    async fn sums(&self) -> (Vec<String>, Vec<String>) {
        let all = async |table: &str| {
            let sql = format!("select t::text from {table} t order by 1");
            let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
            rows.fetch_all(&self.cloud.admin).await.expect("rows")
        };
        (all("usage_hours").await, all("usage_incarnations").await)
    }

    /// All requests that were counted.
    async fn requests(&self) -> i64 {
        sqlx::query_scalar("select sum(requests)::bigint from usage_hours")
            .fetch_one(&self.cloud.admin)
            .await
            .expect("hours")
    }
}

fn placed(places: &[(i64, String)]) -> Vec<(i64, &str)> {
    places
        .iter()
        .map(|(sequence, name)| (*sequence, name.trim_start_matches("usage_samples_")))
        .collect()
}

#[tokio::test]
async fn samples_lie_in_their_day_whether_they_came_before_or_after_it_was_made() {
    let kept = kept().await;
    // START is noon of the 23rd.
    kept.cloud.clock.advance(DAY);
    kept.take(&[sample(1, Duration::ZERO), sample(2, DAY)])
        .await;
    let before = kept.places().await;
    assert_eq!(placed(&before), [(1, "default"), (2, "default")]);
    let sums = kept.sums().await;
    kept.sweep().await;
    assert_eq!(kept.sums().await, sums);
    kept.cloud.clock.advance(Duration::hours(12));
    kept.take(&[sample(3, DAY * 1.5)]).await;
    let after = kept.places().await;
    assert_eq!(
        placed(&after),
        [(1, "20261123"), (2, "20261124"), (3, "20261125")]
    );
    assert_eq!(kept.requests().await, 30);
    let partitions = kept.partitions().await;
    assert_eq!(partitions.len(), 6, "{partitions:?}");
    kept.sweep().await;
    let partitions = kept.partitions().await;
    assert_eq!(partitions.len(), 7, "{partitions:?}");
    kept.sweep().await;
    assert_eq!(kept.partitions().await, partitions);
    assert_eq!(kept.places().await, after);
}

#[tokio::test]
async fn what_is_too_old_goes_and_what_it_added_up_to_stays() {
    let kept = kept().await;
    kept.cloud.clock.advance(Duration::hours(1));
    let first = [sample(1, Duration::ZERO), sample(2, Duration::minutes(1))];
    kept.take(&first).await;
    kept.sweep().await;
    for _ in 0..45 {
        kept.cloud.clock.advance(DAY);
        kept.sweep().await;
    }
    kept.take(&[sample(3, DAY * 45)]).await;
    let sums = kept.sums().await;
    assert_eq!(kept.places().await.len(), 3, "on its 45th day it is there");
    kept.cloud.clock.advance(DAY);
    kept.sweep().await;
    let places = kept.places().await;
    assert_eq!(placed(&places), [(3, "20270107")]);
    assert!(
        !kept
            .partitions()
            .await
            .contains(&"usage_samples_20261123".into())
    );
    // Forgotten is not unknown: what comes again counts no second time.
    kept.take(&first).await;
    assert_eq!(kept.places().await, places);
    assert_eq!(kept.sums().await, sums);
}

#[tokio::test]
async fn a_sample_that_comes_after_its_day_was_forgotten_counts_and_goes() {
    let kept = kept().await;
    kept.cloud.clock.advance(DAY * 60);
    kept.sweep().await;
    kept.take(&[sample(1, Duration::ZERO)]).await;
    let places = kept.places().await;
    assert_eq!(placed(&places), [(1, "default")]);
    let sums = kept.sums().await;
    kept.sweep().await;
    assert!(kept.places().await.is_empty());
    assert_eq!(kept.sums().await, sums);
    assert_eq!(sums.0.len(), 1);
}

#[tokio::test]
async fn a_sweep_that_is_cut_off_has_not_happened() {
    let kept = kept().await;
    kept.cloud.clock.advance(Duration::hours(1));
    kept.take(&[sample(1, Duration::ZERO)]).await;
    let (places, partitions) = (kept.places().await, kept.partitions().await);
    let today = kept.cloud.clock.now().date();
    let call = async |from: i32, until: i32| {
        let mut tx = kept.cloud.platform.store.region().await.expect("a scope");
        let (from, until) = (today + DAY * from, today + DAY * until);
        lumadb_control_plane::store::usage::samples_keep(&mut tx, from, until).await
    };
    // Not committed: as after a kill.
    assert_eq!(call(-45, 3).await.expect("done"), 0);
    assert_eq!(kept.places().await, places);
    assert_eq!(kept.partitions().await, partitions);
    // What would cost the last month is refused.
    for (from, until) in [(3, -45), (0, 3), (-20, 3), (-1000, 3)] {
        assert!(call(from, until).await.is_err(), "{from} {until}");
    }
    kept.sweep().await;
    assert_eq!(kept.places().await.len(), 1);
}

#[tokio::test]
async fn samples_are_taken_while_days_are_made_and_sweeps_do_not_hurt_each_other() {
    let kept = kept().await;
    kept.cloud.clock.advance(Duration::hours(1));
    let taking = async {
        for sequence in 1..=40 {
            let after = Duration::seconds(i64::try_from(sequence).expect("small"));
            kept.take(&[sample(sequence, after)]).await;
        }
    };
    let sweeping = async {
        for _ in 0..5 {
            kept.sweep().await;
        }
    };
    let also = async {
        for _ in 0..5 {
            kept.sweep().await;
        }
    };
    tokio::join!(taking, sweeping, also);
    let places = kept.places().await;
    assert_eq!(places.len(), 40);
    assert!(
        placed(&places)
            .iter()
            .all(|(_, place)| *place == "20261123")
    );
    assert_eq!(kept.requests().await, 400);
}

#[tokio::test]
async fn nobody_but_the_region_makes_or_drops_days() {
    let kept = kept().await;
    for (scope, may) in [
        ("lumadb_app", false),
        ("lumadb_tenant", false),
        ("lumadb_identity", false),
        ("lumadb_region", true),
    ] {
        let granted: bool = sqlx::query_scalar(
            "select has_function_privilege($1, 'usage_samples_keep(date, date)', 'execute')",
        )
        .bind(scope)
        .fetch_one(&kept.cloud.admin)
        .await
        .expect("asked");
        assert_eq!(granted, may, "{scope}");
    }
    kept.sweep().await;
    // A day's own table is nobody's: it is read through the whole, which looks at who asks.
    let open: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c, unnest(array['lumadb_app', 'lumadb_tenant',
                'lumadb_identity', 'lumadb_region']) as scope
         where c.relname like 'usage_samples_%' and c.relkind = 'r'
           and has_table_privilege(scope, c.oid, 'select, insert, update, delete')",
    )
    .fetch_all(&kept.cloud.admin)
    .await
    .expect("asked");
    assert!(open.is_empty(), "{open:?}");
}
