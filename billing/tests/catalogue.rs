//! The committed price book says what is promised: as a table for people, and its keys are checked.

use crate::support::{agrees, books, here};
use lumadb_billing::period::Period;
use lumadb_billing::price_book::{
    Amounts, Feature, Holdings, IncludedAmount, Per, Plan, PriceBook, PriceBooks, Quota, Support,
    UsageTerms,
};
use lumadb_contract::meter::Meter;
use lumadb_contract::money::Cents;
use std::fmt::Write;

const FILE: &str = include_str!("../price_book/2026-11.toml");

fn book() -> PriceBook {
    PriceBook::parse(FILE).expect("the committed file")
}

/// One row of the table: what it is called, and what a plan has there.
type Row = (&'static str, fn(&Plan) -> String);

const ROWS: &[Row] = &[
    ("monthly, paid in advance", |plan| match plan.fee {
        Some(fee) => format!("${fee}"),
        None => "contract".into(),
    }),
    ("usage", |plan| match plan.usage {
        UsageTerms::Limit => "free, up to the limits".into(),
        UsageTerms::FeeCovers => "the fee covers the first of it".into(),
        UsageTerms::Included => "beyond the included amounts".into(),
    }),
    ("storage", |plan| amount(plan, Meter::Storage)),
    ("compute", |plan| amount(plan, Meter::Compute)),
    ("requests", |plan| amount(plan, Meter::Requests)),
    ("transfer out", |plan| amount(plan, Meter::TransferOut)),
    ("vector operations", |plan| {
        amount(plan, Meter::VectorOperations)
    }),
    ("largest database", |plan| {
        limit(plan.database_milli_vcpu_max, "milli-vCPU")
    }),
    ("sleeps after", |plan| match plan.idle_timeout_seconds {
        Some(seconds) => format!("{seconds} s"),
        None => "–".into(),
    }),
    ("databases", |plan| limit(plan.databases_max, "")),
    ("regions", |plan| limit(plan.regions_max, "")),
    ("point-in-time window", |plan| {
        format!("{} days", plan.point_in_time_days_max)
    }),
    ("archive lag", |plan| {
        let s3 = if plan.archive_lag_s3 { " or s3" } else { "" };
        format!("{} ms{s3}", plan.archive_lag_ms)
    }),
    ("members", |plan| limit(plan.members_max, "")),
    ("support", |plan| match plan.support {
        Support::Community => "community".into(),
        Support::Email => "email".into(),
        Support::Dedicated => "24/7".into(),
    }),
    ("first answer within", |plan| {
        match plan.first_answer_hours {
            Some(hours) => format!("{hours} h"),
            None => "–".into(),
        }
    }),
    ("SLA, parts per million", |plan| {
        match plan.sla_availability_ppm {
            Some(ppm) => ppm.to_string(),
            None => "–".into(),
        }
    }),
    ("rows of a vector index", |plan| {
        match plan.vector_index_rows_max {
            Some(rows) => rows.to_string(),
            None => "any".into(),
        }
    }),
    ("features", |plan| {
        let names = plan.features.iter().map(|feature| match feature {
            Feature::Oidc => "OIDC",
            Feature::Saml => "SAML",
            Feature::Scim => "SCIM",
            Feature::AuditExport => "audit export",
            Feature::VpcPeering => "VPC peering",
        });
        let names: Vec<&str> = names.collect();
        if names.is_empty() {
            "–".into()
        } else {
            names.join(", ")
        }
    }),
];

fn limit(most: Option<u32>, unit: &str) -> String {
    most.map_or("any".into(), |most| {
        format!("{most} {unit}").trim().to_owned()
    })
}

fn amount(plan: &Plan, meter: Meter) -> String {
    let say = |amounts: &Amounts, what: &str| {
        amounts.get(meter).map(|IncludedAmount { amount, per }| {
            let unit = match meter {
                Meter::Storage | Meter::TransferOut => " bytes",
                Meter::Compute => " milli-vCPU",
                Meter::Requests | Meter::VectorOperations => "",
            };
            let per = match per {
                Per::Moment => "",
                Per::Day => " a day",
                Per::Period => " a month",
            };
            format!("{amount}{unit}{per} ({what})")
        })
    };
    say(&plan.included, "included")
        .or_else(|| say(&plan.limits, "limit"))
        .unwrap_or_else(|| "–".into())
}

#[test]
fn the_catalogue_is_as_promised() {
    let book = book();
    let mut made = format!("# Price book {}\n\n", book.version);
    let _ = writeln!(
        made,
        "From {} on, in {}.\n",
        book.valid_from,
        book.currency.code()
    );
    let _ = writeln!(made, "| meter | price |\n|---|---|");
    for meter in Meter::ALL {
        let _ = writeln!(
            made,
            "| {meter} | ${} / {} |",
            book.price(meter),
            meter.sold_in()
        );
    }
    let names: Vec<&str> = book
        .plans
        .iter()
        .map(|plan| plan.display_name.as_str())
        .collect();
    let _ = writeln!(made, "\n| | {} |", names.join(" | "));
    let _ = writeln!(made, "|---|{}", "---|".repeat(names.len()));
    for (name, cell) in ROWS {
        let cells: Vec<String> = book.plans.iter().map(cell).collect();
        let _ = writeln!(made, "| {name} | {} |", cells.join(" | "));
    }
    let _ = writeln!(
        made,
        "\nSelf-hosted Enterprise: ${} per server and year.",
        book.self_hosted.enterprise_server_year
    );
    assert!(
        agrees(&here("golden/catalogue.md"), &made),
        "not what was promised. If the change is meant, run with LUMADB_GOLDEN=write.\n\n{made}"
    );
}

#[test]
fn a_period_has_one_version() {
    let books = books();
    let month = |text: &str| text.parse::<Period>().expect("a month");
    assert!(books.at(month("2026-10")).is_err());
    assert_eq!(
        books.at(month("2026-11")).map(|b| b.version.as_str()),
        Ok("2026-11")
    );
    let mut later = book();
    later.valid_from = month("2027-03");
    later.version = serde_json::from_str("\"2027-03\"").expect("a version");
    let both = PriceBooks::new(vec![book(), later.clone()]).expect("in order");
    assert_eq!(
        both.at(month("2027-02")).map(|b| b.version.as_str()),
        Ok("2026-11")
    );
    assert_eq!(
        both.at(month("2027-03")).map(|b| b.version.as_str()),
        Ok("2027-03")
    );
    assert!(PriceBooks::new(vec![later.clone(), book()]).is_err());
    assert!(PriceBooks::new(vec![later.clone(), later]).is_err());
}

#[test]
fn a_file_that_says_too_much_or_too_little_is_refused_by_name() {
    for (from, to, named) in [
        ("currency", "colour = \"red\"\ncurrency", "colour"),
        (
            "storage = \"0.10\"",
            "storage = \"0.10\"\ncpu = \"1\"",
            "cpu",
        ),
        ("storage = \"0.10\"\n", "", "storage"),
        ("storage = \"0.10\"", "storage = 0.10", "floating"),
        ("storage = \"0.10\"", "storage = \"-0.10\"", "storage"),
        (
            "storage = \"0.10\"",
            "storage = \"0.123456789\"",
            "0.123456789",
        ),
        ("\"USD\"", "\"EUR\"", "EUR"),
        (
            "valid_from = \"2026-11\"",
            "valid_from = \"2026-11-02\"",
            "2026-11-02",
        ),
        ("fee = \"799\"", "fee = \"799.001\"", "799.001"),
        ("fee = \"799\"", "fee = \"-799\"", "pro-scale"),
        (
            "databases_max = 3\n",
            "databases_max = 3\nqueues_max = 3\n",
            "queues_max",
        ),
        ("storage_gb = 500", "storage_tb = 500", "storage_tb"),
        ("usage = \"fee_covers\"", "usage = \"limit\"", "pro-payg"),
        ("usage = \"limit\"", "usage = \"included\"", "free"),
        ("id = \"pro-scale\"", "id = \"pro-growth\"", "pro-growth"),
        ("id = \"pro-scale\"", "id = \"Pro\"", "Pro"),
        ("version = \"2026-11\"", "version = \"\"", "version"),
    ] {
        assert!(FILE.contains(from), "{from}");
        let error = PriceBook::parse(&FILE.replacen(from, to, 1)).expect_err(to);
        let mut text = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            text.push_str(&cause.to_string());
        }
        assert!(text.contains(named), "{to}: {text}");
    }
}

#[test]
fn what_must_shrink_is_listed() {
    let book = book();
    let plan = |id: &str| {
        book.plan(&id.parse().expect("an identifier"))
            .expect("a plan")
    };
    let held = Holdings {
        databases: 4,
        database_milli_vcpu: 4000,
        regions: 1,
        members: 2,
        point_in_time_days: 7,
        s3_databases: 1,
    };
    let excess = plan("free").excess(&held);
    let quotas: Vec<(Quota, u32, u32)> = excess
        .iter()
        .map(|e| (e.quota, e.held, e.allowed))
        .collect();
    assert_eq!(
        quotas,
        [
            (Quota::Databases, 4, 3),
            (Quota::DatabaseMilliVcpu, 4000, 250),
            (Quota::Members, 2, 1),
            (Quota::PointInTimeDays, 7, 1),
            (Quota::S3Databases, 1, 0),
        ]
    );
    assert_eq!(plan("pro-starter").excess(&held).len(), 2);
    assert_eq!(plan("pro-scale").excess(&held), []);
    assert_eq!(plan("enterprise").excess(&held), []);
    assert_eq!(plan("pro-scale").fee, Some(Cents::new(79_900)));
    assert!(book.plan(&"gold".parse().expect("an identifier")).is_err());
}
