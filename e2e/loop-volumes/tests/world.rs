//! A driver that runs in a folder of its own, and can be killed.

use lumadb_loop_volumes::Driver;
use lumadb_loop_volumes::csi::{
    AccessMode, AccessModeKind, AccessType, CapacityRange, ControllerClient,
    ControllerExpandVolumeRequest, CreateVolumeRequest, DeleteVolumeRequest, IdentityClient,
    MountVolume, NodeClient, VolumeCapability,
};
use lumadb_loop_volumes::kubelet::RegistrationClient;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

pub(crate) const MIB: i64 = 1 << 20;

/// The machine's name.
pub(crate) const MACHINE: &str = "machine-1";

/// So long a driver may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct World {
    folder: TempDir,
    process: Child,
}

impl World {
    pub(crate) async fn begin() -> Self {
        let folder = TempDir::new().expect("made");
        let process = spawn(folder.path());
        let world = Self { folder, process };
        world.channel().await;
        world
    }

    /// Kills the driver and starts another one.
    pub(crate) async fn killed(&mut self) {
        self.process.kill().expect("ran");
        self.process.wait().expect("ended");
        self.process = spawn(self.folder.path());
        self.channel().await;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, id: &str) -> PathBuf {
        self.path("volumes").join(format!("{id}.img"))
    }

    pub(crate) fn driver(&self) -> Driver {
        driver(self.folder.path())
    }

    async fn channel(&self) -> Channel {
        dial(&self.driver().socket()).await
    }

    pub(crate) async fn identity(&self) -> IdentityClient<Channel> {
        IdentityClient::new(self.channel().await)
    }

    pub(crate) async fn controller(&self) -> ControllerClient<Channel> {
        ControllerClient::new(self.channel().await)
    }

    pub(crate) async fn node(&self) -> NodeClient<Channel> {
        NodeClient::new(self.channel().await)
    }

    pub(crate) async fn registration(&self) -> RegistrationClient<Channel> {
        RegistrationClient::new(dial(&self.driver().registration()).await)
    }

    /// Makes a volume and gives its size, bytes.
    pub(crate) async fn create(&self, name: &str, bytes: i64) -> Result<i64, Status> {
        let request = CreateVolumeRequest {
            name: name.into(),
            capacity_range: range(bytes),
            volume_capabilities: vec![mounted()],
            ..CreateVolumeRequest::default()
        };
        let made = self.controller().await.create_volume(request).await?;
        let volume = made.into_inner().volume.expect("a volume");
        assert_eq!(volume.volume_id, name);
        Ok(volume.capacity_bytes)
    }

    pub(crate) async fn grow(&self, id: &str, bytes: i64) -> Result<i64, Status> {
        let request = ControllerExpandVolumeRequest {
            volume_id: id.into(),
            capacity_range: range(bytes),
        };
        let mut controller = self.controller().await;
        let grown = controller.controller_expand_volume(request).await?;
        assert!(grown.get_ref().node_expansion_required);
        Ok(grown.get_ref().capacity_bytes)
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<(), Status> {
        let volume_id = id.into();
        let request = DeleteVolumeRequest { volume_id };
        self.controller().await.delete_volume(request).await?;
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // A test that failed has not unmounted them.
        for place in ["pods/1/mount", "staged"] {
            let place = self.path(place);
            if place.exists() {
                let _ = Command::new("umount").arg(place).output();
            }
        }
    }
}

fn driver(folder: &Path) -> Driver {
    Driver {
        volumes: folder.join("volumes"),
        kubelet: folder.join("kubelet"),
        node: MACHINE.into(),
    }
}

fn spawn(folder: &Path) -> Child {
    let driver = driver(folder);
    Command::new(env!("CARGO_BIN_EXE_lumadb-loop-volumes"))
        .arg("--volumes")
        .arg(driver.volumes)
        .arg("--kubelet")
        .arg(driver.kubelet)
        .arg("--node")
        .arg(driver.node)
        .stdout(Stdio::null())
        .spawn()
        .expect("started")
}

/// Connects as soon as somebody listens.
async fn dial(socket: &Path) -> Channel {
    let address = format!("unix:{}", socket.display());
    let connecting = async {
        loop {
            let endpoint = Endpoint::from_shared(address.clone()).expect("an address");
            if let Ok(channel) = endpoint.connect().await {
                return channel;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let connected = tokio::time::timeout(PATIENCE, connecting).await;
    connected.expect("the driver listens")
}

#[expect(clippy::unnecessary_wraps, reason = "fields of requests are optional")]
fn range(required_bytes: i64) -> Option<CapacityRange> {
    Some(CapacityRange {
        required_bytes,
        limit_bytes: 0,
    })
}

/// How pods use a volume.
pub(crate) fn mounted() -> VolumeCapability {
    VolumeCapability {
        access_type: Some(AccessType::Mount(MountVolume {
            fs_type: "xfs".into(),
            mount_flags: Vec::new(),
        })),
        access_mode: Some(AccessMode {
            mode: AccessModeKind::SingleNodeWriter.into(),
        }),
    }
}
