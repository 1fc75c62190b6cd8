//! The SQL editor, with a real PostgreSQL behind an edge of the test's own.

use crate::support::{Answer, Person, TestCloud};
use lumadb_contract::id::DatabaseId;
use lumadb_control_plane::app::{Limits, Settings};
use postgres_protocol::message::frontend;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

const QUERY: &str = "00000000-0000-0000-0000-00000000000a";

struct Editor {
    cloud: TestCloud,
    ada: Person,
    id: DatabaseId,
    folder: PathBuf,
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn editor() -> Editor {
    let folder = std::env::temp_dir().join(format!(
        "lumadb-sql-{}",
        uuid::Uuid::from_u128(rand::random())
    ));
    std::fs::create_dir_all(&folder).expect("a folder");
    let cloud = TestCloud::with(Settings {
        edge_socket_folder: Some(folder.clone()),
        limits: Limits {
            requests_per_minute: 1_000_000,
            ..Limits::default()
        },
        ..Settings::default()
    })
    .await;
    let ada = cloud.person("ada@example.com").await;
    let (id, _) = cloud.created(&ada, "a").await;
    let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).expect("a socket");
    let options = cloud.admin.connect_options();
    let engine = options
        .get_socket()
        .expect("a socket")
        .join(".s.PGSQL.5432");
    let user = format!("owner.{id}");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (engine, user) = (engine.clone(), user.clone());
            tokio::spawn(async move { serve(client, &engine, &user).await });
        }
    });
    Editor {
        cloud,
        ada,
        id,
        folder,
    }
}

/// Lets a session with a token in, as whom it says it is; relays its bytes.
async fn serve(mut client: UnixStream, engine: &Path, user: &str) -> std::io::Result<()> {
    let length = client.read_u32().await?;
    let mut rest = vec![0; length as usize - 4];
    client.read_exact(&mut rest).await?;
    let mut upstream = UnixStream::connect(engine).await?;
    if rest[..4] == 80_877_102_u32.to_be_bytes() {
        upstream.write_u32(length).await?;
        return upstream.write_all(&rest).await;
    }
    let texts: Vec<_> = rest[4..]
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    let find = |name: &str| {
        let pair = texts.chunks(2).find(|pair| pair[0] == name);
        pair.map(|pair| pair[1].clone()).unwrap_or_default()
    };
    assert_eq!(find("user"), user);
    assert_eq!(find("lumadb.token").split('.').count(), 3, "a signed token");
    let mut packet = bytes::BytesMut::new();
    let parameters = [("user", "lumadb_admin"), ("database", &find("database"))];
    frontend::startup_message(parameters, &mut packet)?;
    upstream.write_all(&packet).await?;
    tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

impl Editor {
    async fn run(&self, sql: &str) -> Answer {
        self.ask(json!({ "sql": sql })).await
    }

    async fn ask(&self, more: Value) -> Answer {
        let mut body = json!({
            "role": "owner", "logical_database": "postgres", "query_id": QUERY,
        });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        self.cloud
            .post(&format!("/v1/databases/{}/query", self.id))
            .cookie(&self.ada.cookie)
            .json(&body)
            .send()
            .await
    }
}

#[tokio::test]
async fn statements_answer_with_columns_types_and_text() {
    let editor = editor().await;
    let answer = editor
        .run(
            "create temporary table t (a int); insert into t values (1), (2);
              select a, null as b, 'x' as c from t order by a",
        )
        .await;
    answer.expect(200);
    let results = answer.body["results"].as_array().expect("results");
    assert_eq!(results[0]["command"], "CREATE TABLE");
    assert_eq!(results[1]["command"], "INSERT");
    assert_eq!(results[1]["rows_affected"], 2);
    assert_eq!(
        results[2]["columns"][0],
        json!({ "name": "a", "type": "int4" })
    );
    assert_eq!(
        results[2]["rows"],
        json!([["1", null, "x"], ["2", null, "x"]])
    );
    assert_eq!(answer.body["error"], Value::Null);
}

#[tokio::test]
async fn an_error_is_an_answer_that_says_where() {
    let editor = editor().await;
    let answer = editor.run("select 1; select nonsense from nowhere").await;
    answer.expect(200);
    assert_eq!(answer.body["results"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer.text("/error/code"), "42P01");
    assert_eq!(answer.body["error"]["position"], 32);
}

#[tokio::test]
async fn results_are_bounded_in_rows_and_in_bytes() {
    let editor = editor().await;
    let rows = editor
        .ask(json!({ "sql": "select generate_series(1, 100000)", "row_limit": 3 }))
        .await;
    assert_eq!(
        rows.body["results"][0]["rows"].as_array().map(Vec::len),
        Some(3)
    );
    assert_eq!(rows.body["results"][0]["truncated"], true);
    assert_eq!(rows.body["results"][0]["rows_affected"], 100_000);
    let wide = editor
        .run("select repeat('x', 1000000) from generate_series(1, 20)")
        .await;
    assert!(wide.raw.len() < 5_000_000);
    assert_eq!(wide.body["results"][0]["truncated"], true);
    let huge = editor
        .run("select repeat('x', 100000000) from generate_series(1, 3)")
        .await;
    huge.expect(200);
    assert!(huge.text("/error/message").contains("too large"));
}

#[tokio::test]
async fn a_query_is_cancelled_by_its_name_and_by_nobody_elses() {
    let editor = editor().await;
    let eve = editor.cloud.person("eve@example.com").await;
    let (eves, _) = editor.cloud.created(&eve, "e").await;
    let cancel = async |person: &Person, id: DatabaseId| {
        let path = format!("/v1/databases/{id}/query/{QUERY}/cancel");
        editor.cloud.act(person, &path).await
    };
    let sleep = editor.run("select pg_sleep(60)");
    let cancelled = async {
        // The editor's connection must be there before anything can end it.
        editor
            .cloud
            .until(|| async {
                let sleeping: i64 = sqlx::query_scalar(
                    "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)'",
                )
                .fetch_one(&editor.cloud.admin)
                .await
                .expect("counted");
                (sleeping > 0).then_some(())
            })
            .await;
        cancel(&eve, editor.id)
            .await
            .expect_problem(404, "not_found");
        cancel(&eve, eves).await.expect(204);
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel(&editor.ada, editor.id).await.expect(204);
    };
    let (answer, ()) = tokio::join!(sleep, cancelled);
    answer.expect(200);
    assert_eq!(answer.text("/error/code"), "57014");
}

#[tokio::test]
async fn requests_beyond_the_limits_are_refused() {
    let editor = editor().await;
    for (more, field) in [
        (json!({ "sql": "" }), "sql"),
        (json!({ "sql": "x".repeat(300_000) }), "sql"),
        (json!({ "sql": "select 1", "row_limit": 1001 }), "row_limit"),
        (json!({ "sql": "select 1", "role": "nobody" }), "role"),
        (json!({ "sql": "select '\0'" }), "sql"),
    ] {
        let answer = editor.ask(more).await;
        answer.expect_problem(400, "invalid_request");
        assert_eq!(answer.text("/errors/0/field"), field);
    }
}

#[tokio::test]
async fn copy_from_the_client_is_refused_and_the_session_goes_on() {
    let editor = editor().await;
    let answer = editor
        .run("create temporary table t (a int); copy t from stdin")
        .await;
    answer.expect(200);
    assert_eq!(answer.text("/error/code"), "57014");
    let out = editor.run("copy (select 1) to stdout").await;
    assert_eq!(out.body["error"], Value::Null);
}
