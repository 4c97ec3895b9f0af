//! What the firmwares of `adapters/embedded-io/examples/stm32f405` take of a board, each in its
//! configuration, and what that may be: a table in the output, and a failure if a figure is more
//! than 2 % above the one that its `budget.txt` records.
//!
//! `STARTTLS_RECORD=yes tests/run budget` writes that file anew.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use starttls_tests::peers::{
    Board, Ca, Dovecot, Halted, Missing, Modem, Postfix, Program, skip_or_fail,
};

const KIB: u64 = 1024;

/// Instructions of a tick of the core's clock: one takes a nanosecond of the emulator's time, and
/// the clock has 168 MHz.
const PER_CYCLE: (u64, u64) = (1000, 168);

/// A firmware, and what some of its figures are to stay below.
struct Firmware {
    image: &'static str,
    configuration: &'static str,
    login: bool,
    /// Its instructions can be: the executor of embassy sleeps by itself, which cannot be told from
    /// work.
    counted: bool,
    /// It trusts a key in place of an authority.
    pinned: bool,
    targets: &'static [(&'static str, u64)],
}

const FIRMWARES: &[Firmware] = &[
    Firmware {
        image: "blocking",
        configuration: "TLS 1.3, X25519, P-256, ChaCha20, AES-128, ECDSA, RSA, AUTH, attachments, any record",
        login: true,
        counted: true,
        pinned: false,
        targets: &[("flash", 256 * KIB), ("RAM in all", 48 * KIB), ("instructions", 20_000_000)],
    },
    Firmware {
        image: "asynchronous",
        configuration: "the same on embassy's executor",
        login: true,
        counted: false,
        pinned: false,
        targets: &[],
    },
    Firmware {
        image: "small",
        configuration: "P-256, AES-128, ECDSA, attachments, records of 4 KiB",
        login: false,
        counted: true,
        pinned: false,
        targets: &[("flash", 192 * KIB), ("RAM in all", 28 * KIB), ("instructions", 20_000_000)],
    },
    Firmware {
        image: "pinned",
        configuration: "the same, a key in place of the chain",
        login: false,
        counted: true,
        pinned: true,
        targets: &[("flash", 170 * KIB)],
    },
    Firmware {
        image: "embedded-tls",
        configuration: "a key in place of the chain, embedded-tls in place of rustls, no allocator",
        login: false,
        counted: true,
        pinned: true,
        targets: &[],
    },
    Firmware {
        image: "negotiation",
        configuration: "SMTP up to the hand-over, and nothing else",
        login: false,
        counted: true,
        pinned: false,
        targets: &[("flash", 4 * KIB)],
    },
];

/// For scale: others on the same board, for the greeting, EHLO, STARTTLS, a handshake with a
/// verified chain of P-256, EHLO and QUIT; flash and RAM in octets, million instructions. Measured
/// with arm-none-eabi-gcc -Os -flto and buffers of 16 KiB for records.
const OTHERS: &[(&str, &str, &str, &str)] = &[
    ("Mbed TLS 3.6.6, TLS 1.3, like small", "46,044 to 59,648", "39,796 to 43,860", "60 to 63"),
    ("Mbed TLS 3.6.6, TLS 1.3, like blocking", "78,368", "45,224 to 48,096", "68"),
    ("BearSSL 0.6, TLS 1.2 only", "32,664 to 43,608", "40,188 and a stack", "35 to 74"),
];

type Figures = BTreeMap<&'static str, u64>;

/// What the linker says of an image: flash, and RAM with what is reserved for the stack.
fn linked(image: &PathBuf) -> Result<Figures, Missing> {
    let ran = Program::find("arm-none-eabi-size")?.args(["-A", "-d"]).arg(image).run();
    assert!(ran.status.success(), "{ran:?}");
    let (mut flash, mut data) = (0, 0);
    for line in ran.stdout.lines() {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        let [size, address] = numbers[..] else { continue };
        match address {
            0x0800_0000..0x0900_0000 => flash += size,
            0x2000_0000..0x2100_0000 => {
                data += size;
                // What variables begin as.
                flash += if name == ".data" { size } else { 0 };
            }
            _ => {}
        }
    }
    let ran = Program::find("arm-none-eabi-nm")?.arg(image).run();
    let end = ran.stdout.lines().find_map(|line| line.strip_suffix(" _stack_start")?.get(..8));
    let end = end.and_then(|address| u64::from_str_radix(address, 16).ok()).expect("a symbol");
    Ok([("flash", flash), ("variables", data), ("RAM in all", end - 0x2000_0000)].into())
}

/// A mail without an attachment, over STARTTLS, with a login where the firmware has one; the work up
/// to the message is that of a session without.
fn sent(firmware: &Firmware, ca: &Ca, postfix: &Postfix) -> Result<Figures, Missing> {
    let run = |login: bool| -> Result<Halted, Missing> {
        let mut board = Board::new(firmware.image, ca)?;
        if firmware.counted {
            board = board.counting();
        }
        if firmware.pinned {
            board = board.pinned(&ca.server);
        }
        let (board, port) = match login {
            true => (board.login(), postfix.submission),
            false => (board, postfix.smtp),
        };
        let halted = board.run(&Modem::start(port, &[]));
        assert_eq!(halted.status(), Some(0), "{halted:?}");
        Ok(halted)
    };
    let whole = run(firmware.login)?;
    let mut figures = Figures::from([
        ("peak heap", whole.number("peak of the heap") as u64),
        ("peak stack", whole.number("peak of the stack") as u64),
    ]);
    if firmware.counted {
        let instructions =
            |halted: &Halted, text| halted.number(text) as u64 * PER_CYCLE.0 / PER_CYCLE.1;
        figures.insert("with the mail", instructions(&whole, "cycles of work"));
        // A signature takes some percent more than another. The least of three differs less.
        let mut least = u64::MAX;
        for _ in 0..3 {
            least = least.min(instructions(&run(false)?, "cycles up to the message"));
        }
        figures.insert("instructions", least);
    }
    Ok(figures)
}

fn measure() -> Result<Vec<(&'static str, Figures)>, Missing> {
    let ca = Ca::new();
    let images = Board::images()?;
    let dovecot = Dovecot::start(&ca)?;
    let postfix = Postfix::start(&ca, &dovecot)?;
    let mut all = Vec::new();
    for firmware in FIRMWARES {
        let mut figures = linked(&images.join(firmware.image))?;
        if firmware.image == "negotiation" {
            figures.retain(|name, _| *name == "flash");
        } else {
            figures.extend(sent(firmware, &ca, &postfix)?);
        }
        all.push((firmware.image, figures));
    }
    Ok(all)
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn the_budget_is_kept() {
    let Some(measured) = skip_or_fail(measure()) else { return };
    let file = "../adapters/embedded-io/examples/stm32f405/budget.txt";
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let mut lines = String::new();
    for (firmware, figures) in &measured {
        for (name, figure) in figures {
            lines += &format!("{firmware}: {name}: {figure}\n");
        }
    }
    if env::var_os("STARTTLS_RECORD").is_some() {
        fs::write(&file, &lines).expect("a file of the project");
    }
    let text = fs::read_to_string(&file).expect("a file of the project");
    let recorded: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(name, figure)| (name, figure.parse().expect("a number")))
        .collect();

    let mut grown = Vec::new();
    for (Firmware { image, configuration, targets, .. }, (_, figures)) in
        FIRMWARES.iter().zip(&measured)
    {
        println!("{image}: {configuration}");
        for (&name, &figure) in figures {
            let target = targets.iter().find(|target| target.0 == name).map(|target| target.1);
            let verdict = target.map_or(String::new(), |target| {
                let word = if figure <= target { "met" } else { "missed" };
                format!("  target {:>10}: {word}", thousands(target))
            });
            println!("  {name:<14} {:>12}{verdict}", thousands(figure));
            match recorded.get(&*format!("{image}: {name}")) {
                Some(before) if figure * 100 <= before * 102 => {}
                before => grown.push(format!("{image}: {name}: {figure}, recorded {before:?}")),
            }
        }
    }
    println!("\nothers, measured once:");
    for (name, flash, ram, instructions) in OTHERS {
        println!("  {name}: flash {flash}, RAM {ram}, {instructions} million instructions");
    }
    assert!(grown.is_empty(), "more than recorded:\n{}", grown.join("\n"));
}
