//! Which database and which role a start-up packet names, and what of it the engine is told.
//!
//! The database is named by the user (`role.db_…`), by `options=endpoint=db-…`, or by the host name
//! of TLS (`db-….…`). Two that disagree are an error: nobody is sent to a database that they did not
//! mean.

use super::startup::Startup;
use super::wire::{Fatal, sqlstate};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::service_token::SQL_TOKEN_PARAMETER;

/// The logical database of a client that names none.
pub const DEFAULT_LOGICAL_DATABASE: &str = "main";

/// Parameters with this prefix are for us and never reach the engine.
const OWN_PREFIX: &str = "lumadb.";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub database_id: Option<DatabaseId>,
    /// As the client wrote it: not checked to be a role's name.
    pub role: String,
    /// Parameters for the engine in the client's order: `user` left out, `database` always there.
    pub parameters: Vec<(String, String)>,
    /// The token of a SQL session, where one was sent.
    pub token: Option<String>,
}

/// Reads who asks for what. `server_name` is the host name of TLS.
pub fn target(startup: &Startup, server_name: Option<&str>) -> Result<Target, Fatal> {
    let user = startup.get("user").unwrap_or_default();
    let (role, by_user) = match user.rsplit_once('.') {
        Some((role, label)) => match DatabaseId::parse_label(label) {
            Ok(id) => (role, Some(id)),
            Err(_) => (user, None),
        },
        None => (user, None),
    };
    let options = startup
        .get("options")
        .map(split_options)
        .unwrap_or_default();
    let by_options = options
        .endpoint
        .as_deref()
        .map(|label| {
            DatabaseId::parse_label(label).map_err(|_| {
                Fatal::new(
                    sqlstate::INVALID_CATALOG_NAME,
                    format!("`{label}` in options=endpoint=… is not a database"),
                )
            })
        })
        .transpose()?;
    let by_host = server_name.and_then(database_of_host);
    let mut named = [by_user, by_options, by_host].into_iter().flatten();
    let database_id = named.next();
    if named.any(|other| Some(other) != database_id) {
        return Err(Fatal::new(
            sqlstate::INVALID_AUTHORIZATION,
            "user name, options=endpoint=… and host name do not name the same database",
        ));
    }
    Ok(Target {
        database_id,
        role: role.to_owned(),
        parameters: engine_parameters(startup, user, &options),
        token: options
            .token
            .or_else(|| startup.get(SQL_TOKEN_PARAMETER).map(str::to_owned)),
    })
}

/// The database that a host name begins with.
pub fn database_of_host(host: &str) -> Option<DatabaseId> {
    let label = host.split('.').next()?;
    if !label.starts_with("db-") {
        return None;
    }
    DatabaseId::parse_label(label).ok()
}

fn engine_parameters(startup: &Startup, user: &str, options: &Options) -> Vec<(String, String)> {
    let mut parameters: Vec<(String, String)> = startup
        .parameters
        .iter()
        .filter(|(name, _)| {
            !matches!(name.as_str(), "user" | "database" | "options")
                && !name.starts_with(OWN_PREFIX)
                && !name.starts_with("_pq_.")
        })
        .cloned()
        .collect();
    // Clients that are given no database send the user's name for it.
    let database = startup
        .get("database")
        .filter(|name| !name.is_empty() && *name != user)
        .unwrap_or(DEFAULT_LOGICAL_DATABASE);
    parameters.push(("database".to_owned(), database.to_owned()));
    if !options.rest.is_empty() {
        parameters.push(("options".to_owned(), options.rest.clone()));
    }
    parameters
}

/// What `options` held for us, and the rest.
#[derive(Debug, Default)]
struct Options {
    endpoint: Option<String>,
    token: Option<String>,
    rest: String,
}

/// Splits as the engine does: at white space that no backslash protects.
fn split_options(text: &str) -> Options {
    let mut words: Vec<String> = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character.is_ascii_whitespace() {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(character);
            if character == '\\' {
                word.extend(characters.next());
            }
        }
    }
    words.retain(|word| !word.is_empty());
    let mut options = Options::default();
    let mut kept: Vec<&str> = Vec::new();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let (setting, used) = match (word.as_str(), words.get(index + 1)) {
            ("-c", Some(next)) => (next.as_str(), 2),
            (word, _) => {
                let bare = word.strip_prefix("--").or_else(|| word.strip_prefix("-c"));
                (bare.unwrap_or(word), 1)
            }
        };
        let is_setting = used == 2 || setting.len() < word.len();
        if let Some(label) = setting.strip_prefix("endpoint=") {
            options.endpoint = Some(label.to_owned());
        } else if is_setting && setting.starts_with(OWN_PREFIX) {
            let token = setting
                .strip_prefix(SQL_TOKEN_PARAMETER)
                .and_then(|rest| rest.strip_prefix('='));
            options.token = token.map(str::to_owned).or(options.token);
        } else {
            kept.extend(words[index..index + used].iter().map(String::as_str));
        }
        index += used;
    }
    options.rest = kept.join(" ");
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "db_01jd8k2m9n0000000000000001";
    const OTHER: &str = "db-01jd8k2m9n0000000000000002";

    fn of(parameters: &[(&str, &str)], host: Option<&str>) -> Result<Target, Fatal> {
        let parameters = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        target(
            &Startup {
                minor: 0,
                parameters,
            },
            host,
        )
    }

    fn id() -> Option<DatabaseId> {
        ID.parse().ok()
    }

    #[test]
    fn a_database_is_named_in_three_ways() {
        let label = ID.replace('_', "-");
        let by_user = of(&[("user", &format!("app.{ID}"))], None).expect("valid");
        assert_eq!((by_user.database_id, by_user.role.as_str()), (id(), "app"));
        let host = format!("{label}.eu-1.example.com");
        let by_host = of(&[("user", "app")], Some(&host)).expect("valid");
        assert_eq!(by_host.database_id, id());
        for options in [
            format!("endpoint={label}"),
            format!("-c geqo=off -c endpoint={ID}"),
            format!("--endpoint={label}"),
        ] {
            let found = of(&[("user", "app"), ("options", &options)], None).expect("valid");
            assert_eq!(found.database_id, id(), "{options}");
        }
        assert_eq!(
            of(&[("user", "app")], Some("localhost"))
                .expect("valid")
                .database_id,
            None
        );
    }

    #[test]
    fn two_names_that_disagree_are_refused() {
        let refused = of(
            &[("user", &format!("app.{ID}"))],
            Some(&format!("{OTHER}.x")),
        );
        assert_eq!(refused.expect_err("refused").sqlstate, "28000");
        let refused = of(&[("user", "app"), ("options", "endpoint=nothing")], None);
        assert_eq!(refused.expect_err("refused").sqlstate, "3D000");
    }

    #[test]
    fn the_engine_is_told_everything_but_what_is_ours() {
        let found = of(
            &[
                ("user", &format!("app.{ID}")),
                (
                    "options",
                    r"-c lumadb.token=t.o.k  -c search_path=a\ b endpoint=x --lumadb.y=1 -cgeqo=off",
                ),
                ("application_name", "psql"),
                ("lumadb.trace", "on"),
                ("_pq_.x", "1"),
            ],
            None,
        );
        assert!(found.is_err(), "endpoint=x is no database");
        let found = of(
            &[
                ("user", &format!("app.{ID}")),
                (
                    "options",
                    r"-c lumadb.token=t.o.k  -c search_path=a\ b --lumadb.y=1 -cgeqo=off",
                ),
                ("application_name", "psql"),
                ("lumadb.trace", "on"),
                ("_pq_.x", "1"),
            ],
            None,
        )
        .expect("valid");
        assert_eq!(found.token.as_deref(), Some("t.o.k"));
        let expected = [
            ("application_name", "psql"),
            ("database", "main"),
            ("options", r"-c search_path=a\ b -cgeqo=off"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found.parameters, expected);
    }

    #[test]
    fn a_client_that_names_no_logical_database_gets_main() {
        let user = format!("app.{ID}");
        for database in [user.as_str(), ""] {
            let found = of(&[("user", &user), ("database", database)], None).expect("valid");
            let expected = ("database".to_owned(), "main".to_owned());
            assert_eq!(found.parameters, [expected]);
        }
        let found = of(&[("user", &user), ("database", "shop")], None).expect("valid");
        assert_eq!(
            found.parameters,
            [("database".to_owned(), "shop".to_owned())]
        );
    }
}
