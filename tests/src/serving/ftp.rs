//! FTP with one file, whose data connections are inside TLS of their own (RFC 4217 §9).

use std::io::{self, Write};
use std::net::TcpListener;

use starttls::protocol::{FTP, Implicit};

use super::accept;
use super::lines::Script;
use super::script::{Inside, unknown};

/// What needs no data connection.
const COMMANDS: Script = Script {
    greeting: "220 inside\r\n",
    again: false,
    tagged: false,
    answers: &[
        ("USER alice", "331 password\r\n"),
        ("PASS secret", "230 logged in\r\n"),
        ("PBSZ 0", "200 PBSZ=0\r\n"),
        ("PROT P", "200 private\r\n"),
        ("PWD", "257 \"/\"\r\n"),
        ("TYPE I", "200 binary\r\n"),
        ("TYPE A", "200 ASCII\r\n"),
        ("SIZE file", "213 8\r\n"),
        ("QUIT", "221 bye\r\n"),
    ],
};

/// Serves a list, and a file; each behind PROT P only.
pub(super) fn ftp(upgraded: bool, channel: &mut Inside<'_>) -> io::Result<bool> {
    COMMANDS.greet(upgraded, channel)?;
    let (mut private, mut passive) = (false, None);
    while let Some(line) = channel.line()? {
        let data = match &*line {
            "EPSV" | "PASV" => {
                let listener = TcpListener::bind(("127.0.0.1", 0))?;
                let port = listener.local_addr()?.port();
                let [high, low] = port.to_be_bytes();
                channel.hear(&*line);
                channel.say(match &*line {
                    "EPSV" => format!("229 here (|||{port}|)\r\n"),
                    _ => format!("227 here (127,0,0,1,{high},{low})\r\n"),
                })?;
                passive = Some(listener);
                continue;
            }
            "LIST" => "-rw-r--r-- 1 alice alice 8 Jan  1 00:00 file\r\n",
            "RETR file" => "inside\r\n",
            _ => match COMMANDS.answer(&line, channel)? {
                true => {
                    private |= line == "PROT P";
                    continue;
                }
                false => return Ok(true),
            },
        };
        channel.hear(&*line);
        let listener = passive.take().filter(|_| private).ok_or_else(|| unknown(&line))?;
        channel.say("150 here it comes\r\n")?;
        let (transport, _) = listener.accept()?;
        let mut stream =
            accept(transport, Implicit::server(&FTP), channel.tls()).map_err(io::Error::other)?;
        stream.write_all(data.as_bytes())?;
        // A client that has all of it may just leave.
        drop(stream.close());
        channel.say("226 that was it\r\n")?;
    }
    Ok(false)
}
