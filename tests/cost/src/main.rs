//! What one negotiation costs, over the table of machines: `./tests/run bench`.
//!
//! The program runs itself under valgrind's callgrind, which counts instructions: the same program
//! comes to the same count, however busy the computer is. Only what happens inside [`counted`] is
//! counted. Allocations are the calls of `malloc` and its kin in there.
//!
//! Without arguments what is counted is held against what `cost.txt` records; `--record` writes
//! that file.

use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, process};

use starttls::Error;
use starttls::negotiate::{Client, Negotiate, Negotiation, Server, Status};
use starttls::wire::{Out, RecvBuf};
use starttls_cost::dialogue::Dialogue;
use starttls_cost::table::{Entry, Role};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        None => measure().and_then(|costs| compare(&costs)),
        Some("--record") => measure().and_then(|costs| Ok(fs::write(record(), table(&costs))?)),
        Some("--play") => play(),
        Some(_) => Err("usage: starttls-cost [--record]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A machine and the words of its peer.
struct Subject<S: Role> {
    entry: &'static Entry<S>,
    dialogue: Dialogue,
    turns: Vec<Vec<u8>>,
}

/// Each machine with the dialogues that were recorded from real servers, or with its own.
fn subjects<S: Role>() -> Vec<Subject<S>> {
    let mut subjects = Vec::new();
    // What is said first inside TLS is dressed up in the table, and the dress would be counted.
    for entry in S::table().iter().filter(|entry| !entry.name.ends_with("-inside")) {
        let (recorded, others): (Vec<_>, Vec<_>) =
            Dialogue::of(entry.name).into_iter().partition(|dialogue| dialogue.is_recorded());
        let own = others.into_iter().filter(|dialogue| dialogue.file == entry.dialogue);
        let dialogues = if recorded.is_empty() { own.collect() } else { recorded };
        subjects.extend(dialogues.into_iter().map(|dialogue| {
            let turns = dialogue.exchange(S::SPEAKER).peer;
            Subject { entry, dialogue, turns }
        }));
    }
    subjects
}

// What is counted.

/// The one function that is counted, by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

/// What callgrind calls it.
const COUNTED: &str = "starttls_cost::counted";

/// In the order in which [`measure`] reads the counts.
fn play() -> Result<()> {
    counted(&mut || drop(black_box(Box::new(0))));
    play_all::<Client>()?;
    play_all::<Server>()
}

fn play_all<S: Role>() -> Result<()> {
    for Subject { entry, dialogue, turns } in subjects::<S>() {
        let mut machine = (entry.new)(dialogue.setting)?;
        let mut storage = vec![0; entry.max_frame.max(turns.concat().len())];
        let (mut output, mut end) = (vec![0; 4096], Ok(()));
        counted(&mut || {
            black_box(scan(black_box(&turns)));
        });
        counted(&mut || end = negotiate(&mut *machine, &turns, &mut storage, &mut output));
        end?;
    }
    Ok(())
}

/// The least that anybody can do with lines: counts them.
fn scan(turns: &[Vec<u8>]) -> usize {
    let mut lines = 0;
    for turn in turns {
        let mut before = 0;
        for &octet in turn {
            lines += usize::from(before == b'\r' && octet == b'\n');
            before = octet;
        }
    }
    lines
}

/// A whole negotiation, a read for each turn.
fn negotiate<M: Negotiate>(
    machine: M,
    turns: &[Vec<u8>],
    storage: &mut [u8],
    output: &mut [u8],
) -> std::result::Result<(), Error> {
    let (mut recv, mut out) = (RecvBuf::new(storage), Out::new(output));
    let (mut negotiation, mut turns) = (Negotiation::new(machine), turns.iter());
    loop {
        match negotiation.process(&mut recv, &mut out)? {
            Status::Progress => {}
            Status::NeedInput => match turns.next() {
                Some(turn) => drop(recv.fill(turn)),
                None => return Err(negotiation.close_received()),
            },
            Status::Ready => return negotiation.upgrade(recv).map(|_| ()),
        }
    }
}

// How it is counted.

/// The cost of one negotiation.
struct Cost {
    dialogue: String,
    role: &'static str,
    /// Octets received.
    octets: usize,
    /// Instructions of [`scan`] on them.
    scan: u64,
    instructions: u64,
    allocations: u64,
    /// Octets of the machine.
    state: usize,
}

/// Runs [`play`] under callgrind, which writes a file each time that [`counted`] returns.
fn measure() -> Result<Vec<Cost>> {
    let folder = env::temp_dir().join(format!("starttls-cost-{}", process::id()));
    fs::create_dir(&folder)?;
    let costs = measure_in(&folder);
    fs::remove_dir_all(&folder)?;
    costs
}

fn measure_in(folder: &Path) -> Result<Vec<Cost>> {
    let file = folder.join("counts");
    let valgrind = Command::new("valgrind")
        .args(["-q", "--tool=callgrind", "--compress-strings=no"])
        .arg(format!("--zero-before={COUNTED}"))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe()?)
        .arg("--play")
        .status()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !valgrind.success() {
        return Err(format!("valgrind: {valgrind}").into());
    }
    let mut counts = (1..).map(|part| Counts::read(&file.with_extension(part.to_string())));
    let mut next = || counts.next().unwrap_or_else(|| Err("no more counts".into()));
    // What counts nothing would find everything free.
    let control = next()?;
    if control.allocations != 1 || control.instructions == 0 {
        return Err("one allocation was made, and not seen".into());
    }
    let mut costs = Vec::new();
    costs_of::<Client>(&mut next, &mut costs)?;
    costs_of::<Server>(&mut next, &mut costs)?;
    Ok(costs)
}

fn costs_of<S: Role>(
    next: &mut impl FnMut() -> Result<Counts>,
    costs: &mut Vec<Cost>,
) -> Result<()> {
    for Subject { entry, dialogue, turns } in subjects::<S>() {
        let (scan, negotiation) = (next()?, next()?);
        costs.push(Cost {
            role: S::NAME,
            octets: turns.concat().len(),
            scan: scan.instructions,
            instructions: negotiation.instructions,
            allocations: negotiation.allocations,
            state: size_of_val(&*(entry.new)(dialogue.setting)?),
            dialogue: dialogue.file,
        });
    }
    Ok(())
}

struct Counts {
    instructions: u64,
    allocations: u64,
}

impl Counts {
    /// Reads a file of callgrind's: `summary:` has all instructions, `cfn=` the name of a function
    /// that is called, and `calls=` behind it how often.
    fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .map_err(|error| format!("callgrind did not count {COUNTED}: {error}"))?;
        let mut counts = Self { instructions: 0, allocations: 0 };
        let mut callee = "";
        for line in text.lines() {
            if let Some(instructions) = line.strip_prefix("summary: ") {
                counts.instructions = instructions.trim().parse()?;
            } else if let Some(name) = line.strip_prefix("cfn=") {
                callee = name;
            } else if let Some(calls) = line.strip_prefix("calls=")
                && ["malloc", "calloc", "realloc", "posix_memalign"].contains(&callee)
            {
                let calls = calls.split(' ').next().unwrap_or_default();
                counts.allocations += calls.parse::<u64>()?;
            }
        }
        Ok(counts)
    }
}

// What is recorded.

fn record() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cost.txt")
}

const HEAD: &str = "\
# What one negotiation costs, as ./tests/run bench counts it; README.md says how.
#
# dialogue                 role    octets received  instructions: bare scan, all  allocations  octets of state
";

fn table(costs: &[Cost]) -> String {
    let mut table = HEAD.to_owned();
    for cost in costs {
        let Cost { dialogue, role, octets, scan, instructions, allocations, state } = cost;
        writeln!(
            table,
            "{dialogue:<26} {role:<7} {octets:>15} {scan:>24} {instructions:>5} \
             {allocations:>12} {state:>16}"
        )
        .expect("a String grows");
    }
    table
}

/// Prints the costs, and fails where one is more than 5 % above what is recorded.
fn compare(costs: &[Cost]) -> Result<()> {
    print!("{}", table(costs));
    let text = fs::read_to_string(record())?;
    let mut recorded = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [dialogue, role, _, _, instructions, _, state] = columns[..] else {
            return Err(format!("cost.txt: {line}").into());
        };
        recorded.push((dialogue, role, instructions.parse::<u64>()?, state.parse::<usize>()?));
    }
    let mut faults = Vec::new();
    for cost in costs {
        let name = format!("{} {}", cost.dialogue, cost.role);
        if cost.allocations > 0 {
            faults.push(format!("{name}: {} allocations, none is wanted", cost.allocations));
        }
        match recorded.iter().find(|row| (row.0, row.1) == (&cost.dialogue, cost.role)) {
            None => faults.push(format!("{name}: not recorded")),
            Some(&(_, _, instructions, state)) => {
                if cost.instructions * 100 > instructions * 105 {
                    let now = cost.instructions;
                    faults.push(format!("{name}: {now} instructions, recorded {instructions}"));
                }
                if cost.state > state {
                    faults
                        .push(format!("{name}: {} octets of state, recorded {state}", cost.state));
                }
            }
        }
    }
    for (dialogue, role, ..) in recorded {
        if !costs.iter().any(|cost| (&*cost.dialogue, cost.role) == (dialogue, role)) {
            faults.push(format!("{dialogue} {role}: recorded, and not counted"));
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults.join("\n").into()),
    }
}
