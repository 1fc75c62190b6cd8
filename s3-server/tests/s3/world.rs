//! Servers, in this process and in one of their own, and clients of them.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use lumadb_contract::secret::Secret;
use lumadb_s3_server::{Clock, Config, ServeError, serve};
use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(super) const BUCKET: &str = "bucket";
pub(super) const ROOT: &str = "root";
pub(super) const SECRET: &str = "of the root";

pub(super) fn config(folder: &Path) -> Config {
    let mut config = Config::new(folder, ROOT, Secret::new(SECRET));
    config.buckets.push(BUCKET.to_owned());
    config
}

/// A server in this process.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    folder: TempDir,
    clock: Clock,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self::start_in(folder, Clock::system()).await
    }

    async fn start_in(folder: TempDir, clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut config = config(folder.path());
        config.clock = clock.clone();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(config, listener, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            folder,
            clock,
            stop,
            serving,
        }
    }

    pub(super) async fn restart(self) -> Self {
        self.stop.send(()).expect("it serves");
        let ended = self.serving.await.expect("no panic");
        ended.expect("it served");
        Self::start_in(self.folder, self.clock).await
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn client(&self) -> Client {
        client(self.address, ROOT, SECRET)
    }
}

fn builder(address: SocketAddr, id: &str, secret: &str) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .endpoint_url(format!("http://{address}"))
        .force_path_style(true)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .retry_config(RetryConfig::disabled())
}

/// As the data plane's: with no checksums but where they are needed.
pub(super) fn client(address: SocketAddr, id: &str, secret: &str) -> Client {
    let config = builder(address, id, secret)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    Client::from_conf(config.build())
}

/// With the checksums that a client adds unless it is told not to: in trailers.
pub(super) fn checking_client(address: SocketAddr) -> Client {
    Client::from_conf(builder(address, ROOT, SECRET).build())
}

/// Status and code of an answer that is an error.
pub(super) fn refusal<T: Debug, E>(
    result: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>,
) -> (u16, String)
where
    E: ProvideErrorMetadata + Debug,
{
    let error = result.expect_err("an error");
    let status = error.raw_response().expect("an answer").status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}

pub(super) fn is(refusal: &(u16, String), status: u16, code: &str) -> bool {
    refusal.0 == status && refusal.1 == code
}

/// Bytes that follow from a name: whoever knows the name knows whether they are whole.
pub(super) fn bytes_of(name: &str, length: usize) -> Vec<u8> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut state = seed | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

pub(super) async fn put(client: &Client, key: &str, body: impl Into<Vec<u8>>) {
    let body = ByteStream::from(body.into());
    let sent = client.put_object().bucket(BUCKET).key(key).body(body);
    sent.send().await.expect("written");
}

pub(super) async fn get(client: &Client, key: &str) -> Vec<u8> {
    let sent = client.get_object().bucket(BUCKET).key(key).send();
    let body = sent.await.expect("there").body.collect().await;
    body.expect("whole").to_vec()
}

/// Sends a request as it is written here; gives the answer as it comes.
pub(super) async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A server in a process of its own, which is killed when this is dropped.
pub(super) struct ServerProcess {
    child: Child,
    pub(super) address: SocketAddr,
}

/// Tells the process which folder to serve.
const FOLDER: &str = "LUMADB_S3_TEST_FOLDER";

impl ServerProcess {
    pub(super) fn start(folder: &Path) -> Self {
        let program = std::env::current_exe().expect("a program");
        let mut child = Command::new(program)
            .args([
                "s3::world::server_process",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut lines = output.lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("serving on ")?.1.to_owned()));
        Self {
            address: address.expect("it serves").parse().expect("an address"),
            child,
        }
    }

    pub(super) fn client(&self) -> Client {
        client(self.address, ROOT, SECRET)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // SIGKILL.
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

/// The body of a [`ServerProcess`]; no test.
#[tokio::test]
#[ignore = "started by tests"]
async fn server_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    println!("serving on {address}");
    let served = serve(config(Path::new(&folder)), listener, std::future::pending());
    served.await.expect("it serves");
}
