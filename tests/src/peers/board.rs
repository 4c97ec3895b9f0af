//! A microcontroller: the firmware of `adapters/embedded-io/examples/stm32f405` on an emulated
//! STM32F405, with a [`Modem`] at its UART.

use std::path::PathBuf;
use std::time::Duration;

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{Ca, Identity, Missing, Modem, PASSWORD, Program, Ran, USER, open_directory};

/// Where `tests/run firmware` has built the firmware.
const IMAGES: &str = "STARTTLS_FIRMWARE";

/// Where the flash keeps the configuration, as the firmware's memory.x says.
const CONFIG: &str = "0x080e0000";

/// A board with a firmware in its flash, about to be switched on.
#[derive(Debug)]
pub struct Board {
    qemu: Program,
    image: PathBuf,
    dir: TempDir,
    values: Vec<String>,
    argument: &'static str,
    counts: bool,
}

impl Board {
    /// A board with this firmware, provisioned to trust this authority and to send a mail from
    /// alice@mail.test to bob@mail.test over STARTTLS, which is tried once.
    ///
    /// # Errors
    /// [`Missing`] without the firmware or QEMU.
    pub fn new(firmware: &str, ca: &Ca) -> Result<Self, Missing> {
        let images = Self::images()?;
        let qemu = Program::find("qemu-system-arm")?;
        let dir = open_directory();
        std::fs::write(dir.path().join("root.der"), &ca.root_der).expect("a file of ours");
        let image = images.join(firmware);
        let board = Self { qemu, image, dir, values: Vec::new(), argument: "", counts: false };
        let anchor = format!("@{}", board.path("root.der").display());
        Ok(board
            .set("anchor", &anchor)
            .set("dial", "555-0100")
            .set("server", "localhost")
            .set("name", "device.test")
            .set("from", "alice@mail.test")
            .set("to", "bob@mail.test")
            .set("patience", "60"))
    }

    /// The directory of the firmwares.
    ///
    /// # Errors
    /// [`Missing`] without one.
    pub fn images() -> Result<PathBuf, Missing> {
        match std::env::var_os(IMAGES) {
            Some(images) => Ok(images.into()),
            None => Err(Missing(format!("{IMAGES}, which tests/run firmware sets"))),
        }
    }

    /// Has each instruction take a nanosecond of the board's time.
    pub fn counting(mut self) -> Self {
        self.counts = true;
        self
    }

    /// Provisions it with a value, in place of the one before.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        let name = format!("{name}=");
        self.values.retain(|pair| !pair.starts_with(&name));
        self.values.push(name + value);
        self
    }

    /// Provisions it with octets.
    pub fn set_octets(self, name: &str, octets: &[u8]) -> Self {
        let path = self.path(name);
        std::fs::write(&path, octets).expect("a file of ours");
        self.set(name, &format!("@{}", path.display()))
    }

    /// Provisions it to trust a server's key in place of the authority.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn pinned(self, server: &Identity) -> Self {
        let key = PrivateKeyDer::try_from(&server.key_der[..]).expect("a key");
        let key = KeyPair::try_from(&key).expect("a key").subject_public_key_info();
        self.set_octets("anchor", &Sha256::digest(key))
    }

    /// Has it log in as [`USER`].
    pub fn login(self) -> Self {
        self.set("user", USER).set("password", PASSWORD)
    }

    /// Gives the firmware an argument.
    pub fn argument(mut self, argument: &'static str) -> Self {
        self.argument = argument;
        self
    }

    /// The block with what it is provisioned with.
    ///
    /// # Panics
    /// If that cannot be made.
    pub fn config(&self) -> Vec<u8> {
        let script = "../adapters/embedded-io/examples/stm32f405/provision";
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(script);
        let file = self.path("config.bin");
        let ran = Program::new("/bin/sh")
            .args(["-c", r#"script=$1 file=$2; shift 2; exec "$script" "$@" >"$file""#, "sh"])
            .args([&script, &file])
            .args(&self.values)
            .run();
        assert!(ran.status.success(), "{ran:?}");
        std::fs::read(file).expect("a file of ours")
    }

    /// Switches it on, until it halts.
    ///
    /// # Panics
    /// If it does not halt within four minutes.
    pub fn run(self, modem: &Modem) -> Halted {
        let config = self.config();
        self.run_with(modem, &config)
    }

    /// Switches it on with these octets where the configuration ought to be.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_with(self, modem: &Modem, config: &[u8]) -> Halted {
        let file = self.path("config.bin");
        std::fs::write(&file, config).expect("a file of ours");
        let loader = format!("loader,file={},addr={CONFIG},force-raw=on", file.display());
        let counting: &[_] = if self.counts { &["-icount", "shift=0"] } else { &[] };
        let ran = self
            .qemu
            .args(counting)
            .args(["-machine", "netduinoplus2", "-display", "none", "-no-reboot"])
            .arg("-semihosting-config")
            .arg(format!("enable=on,target=native,arg=firmware,arg={}", self.argument))
            .args(["-device", &loader])
            .args(["-monitor", "none", "-serial"])
            .arg(format!("tcp:127.0.0.1:{},nodelay=on", modem.port()))
            .arg("-kernel")
            .arg(&self.image)
            .limit(Duration::from_secs(240))
            .run();
        Halted(ran)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A board that halted.
#[derive(Clone, Debug)]
pub struct Halted(Ran);

impl Halted {
    /// The status with which it did.
    pub fn status(&self) -> Option<i32> {
        self.0.status.code()
    }

    /// The lines it logged.
    pub fn log(&self) -> Vec<&str> {
        self.0.stderr.lines().chain(self.0.stdout.lines()).collect()
    }

    /// The number in the first line that begins with this text.
    ///
    /// # Panics
    /// If there is none.
    pub fn number(&self, text: &str) -> usize {
        let number = |line: &&str| line.strip_prefix(text)?.trim().parse().ok();
        self.log().iter().find_map(number).unwrap_or_else(|| panic!("no {text}: {self:?}"))
    }
}
