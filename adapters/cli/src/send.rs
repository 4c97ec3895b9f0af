//! `starttls send`: one message, and what became of it for each recipient.

use serde_json::{Value, json};
use starttls::protocol::Mail;
use starttls::submission::{Envelope, Feature, Outcome, Report, Require, Said, Submission};
use tokio::time::{Instant, timeout_at};

use crate::args::SendArgs;
use crate::channel::{Facts, Report as Channel};
use crate::exit::{self, Failure, note};
use crate::login::Login;
use crate::message::Message;
use crate::names::{names, own, random, verified};
use crate::net::{self, Transport};
use crate::submit::{self, Outgoing, Sent};
use crate::text;
use crate::tls;
use crate::trace::{Inside, Role, Sink, Trace, Traced};

pub(crate) async fn run(args: &SendArgs) -> Result<u8, Failure> {
    let target = &args.server;
    let mut channel = Channel {
        role: Role::Client,
        proto: target.proto.clone(),
        host: target.host.clone(),
        target: target.to_string(),
        facts: None,
    };
    let (report, result) = match send(args, &mut channel).await {
        Ok(sent) => {
            let result = verdict(&sent.report, sent.result);
            (sent.report, result)
        }
        Err(failure) => {
            let recipients = vec![Outcome::NotSent; args.to.len()];
            (Report { recipients, ..Report::default() }, Err(failure))
        }
    };
    let result = result.map_err(|failure| failure.at(target));
    let code = match &result {
        Ok(()) => exit::DONE,
        Err(failure) => failure.report(),
    };
    if args.common.json {
        exit::tell(&format!("{}\n", object(&channel, args, &report, &result)));
    } else if code != exit::USAGE {
        for (address, outcome) in args.to.iter().zip(&report.recipients) {
            let address = text::escape(address.as_bytes());
            exit::tell(&format!("{address} {}\n", line(outcome)));
        }
    }
    Ok(code)
}

async fn send(args: &SendArgs, channel: &mut Channel) -> Result<Sent, Failure> {
    let target = &args.server;
    let Some(mail) = target.scheme.row.mail else {
        return Err(Failure::usage(format!("{} carries no mail", target.proto)));
    };
    let login = Login::read(&args.login)?;
    let tls = tls::client(&args.client)?;
    let domain = args.common.domain.as_deref();
    let name = verified(target.scheme.row, args.client.name.as_deref(), domain, &target.host);
    tls::check_name(name)?;
    let message = match &args.message {
        Some(path) => Message::open(path).await?,
        None => Message::stdin().await?,
    };
    let from = sender(args, &message)?;
    let to: Vec<&str> = args.to.iter().map(String::as_str).collect();
    let envelope = Envelope {
        from: &from,
        to: &to,
        size: message.size,
        content: message.content,
        utf8: false,
        require: Require::Any,
    };
    let submission = submission(args, mail, envelope, login.as_ref()).map_err(Failure::machine)?;

    let machine = target.scheme.client(names(domain, &target.host)?);
    let machine = machine.map_err(Failure::machine)?;
    let trace = args.common.trace.then(|| Trace::new(Role::Client, Inside::Lines, Sink::Stderr));
    let machine = Traced::new(machine, trace.clone());
    let mut exchange = submit::exchange(machine, &tls, name, submission)?;
    if let Some(trace) = trace.clone() {
        exchange = exchange.with_trace(Box::new(move |spoken| trace.spoken(spoken)));
    }

    let (started, timeout) = (Instant::now(), args.common.timeout);
    let connecting = timeout_at(started + timeout, net::connect(target, args.client.bind));
    let tcp = connecting.await.map_err(|_| Failure::late(timeout))??;
    let (transport, _) = Transport::new(tcp, trace.clone());
    let (message, lost, waiting) = (message.octets, None, None);
    let outgoing = Outgoing { exchange, message, timeout, started, lost, waiting };
    let up = |facts: &Facts| {
        let line = channel.up(facts);
        if !facts.is_authenticated() {
            note(&line);
        }
    };
    let mut sent = outgoing.send(transport, up).await;
    if let Some(trace) = trace {
        trace.finish();
    }
    if let Err(failure) = &mut sent.result
        && failure.code == exit::REFUSED
        && args.client.policy.allow_plaintext
    {
        failure.code = exit::POLICY;
        failure.text.push_str("; credentials are never sent in plaintext");
    }
    Ok(sent)
}

/// What is said once there is a channel.
fn submission<'a>(
    args: &'a SendArgs,
    mail: Mail,
    envelope: Envelope<'a>,
    login: Option<&'a Login>,
) -> Result<Submission<'a>, starttls::Error> {
    let mut submission =
        Submission::new(mail, own(args.common.domain.as_deref()), args.server.scheme.implicit)?;
    if let Some(login) = login {
        submission.login(login.credentials(), &mut random)?;
    }
    submission.mail(envelope, true)?;
    Ok(submission)
}

fn sender(args: &SendArgs, message: &Message) -> Result<String, Failure> {
    if let Some(from) = &args.from {
        return Ok(from.clone());
    }
    match &args.login.user {
        Some(user) if user.contains('@') => Ok(user.clone()),
        _ => message.from().ok_or_else(|| {
            Failure::usage("who sends it? --from ADDRESS says so, or the message's From field")
        }),
    }
}

/// Whether all of it went well; if not, why, and with which status.
fn verdict(report: &Report, result: Result<(), Failure>) -> Result<(), Failure> {
    if report.is_delivered() {
        return Ok(());
    }
    if let Err(failure) = result {
        if report.recipients.contains(&Outcome::Unknown) {
            let text = format!("{}; the message may have been delivered", failure.text);
            return Err(Failure::new(exit::NETWORK, text));
        }
        return Err(failure);
    }
    let refusals = [
        (&report.hello_refused, "service"),
        (&report.login_refused, "the login"),
        (&report.sender_refused, "the sender"),
    ];
    for (said, what) in refusals {
        if let Some(said) = said {
            return Err(refused(said.is_temporary(), format!("refused {what}: {}", words(said))));
        }
    }
    if let Some(lacks) = report.lacks {
        return Err(refused(false, lacking(lacks)));
    }
    let (mut good, mut temporary) = (0, true);
    for outcome in &report.recipients {
        match outcome {
            Outcome::Delivered(_) => good += 1,
            Outcome::Refused(said) => temporary &= said.is_temporary(),
            _ => {}
        }
    }
    let all = report.recipients.len();
    Err(refused(temporary, format!("took the message for {good} of {all} recipients")))
}

fn refused(temporary: bool, text: String) -> Failure {
    match temporary {
        true => Failure::new(exit::LATER, format!("the server {text}; try again later")),
        false => Failure::new(exit::NEVER, format!("the server {text}")),
    }
}

fn lacking(feature: Feature) -> String {
    match feature {
        Feature::EightBitMime => "does not take 8-bit messages (8BITMIME)".into(),
        Feature::SmtpUtf8 => "does not take addresses beyond ASCII (SMTPUTF8)".into(),
        Feature::Size(limit) => format!("takes messages of at most {limit} octets"),
        Feature::Mechanism => "offers no way to log in that was asked for".into(),
        _ => "lacks what the message needs".into(),
    }
}

fn words(said: &Said) -> String {
    format!("{} {}", said.code, text::escape_lines(&said.text))
}

fn line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered(said) => format!("sent: {}", words(said)),
        Outcome::Refused(said) => format!("refused: {}", words(said)),
        Outcome::Unknown => "unknown: it may have been delivered".into(),
        Outcome::NotSent | Outcome::Waiting => "not sent".into(),
    }
}

fn object(
    channel: &Channel,
    args: &SendArgs,
    report: &Report,
    result: &Result<(), Failure>,
) -> Value {
    let mut object = channel.json(result);
    let recipients = args.to.iter().zip(&report.recipients).map(|(address, outcome)| {
        let (state, said) = match outcome {
            Outcome::Delivered(said) => ("sent", Some(said)),
            Outcome::Refused(said) => ("refused", Some(said)),
            Outcome::Unknown => ("unknown", None),
            Outcome::NotSent | Outcome::Waiting => ("not-sent", None),
        };
        let mut recipient = reply(said);
        recipient["address"] = json!(address);
        recipient["state"] = json!(state);
        recipient
    });
    object["recipients"] = recipients.collect();
    if result.is_ok() {
        object["outcome"] = json!("sent");
    }
    for (key, said) in [("hello", &report.hello_refused), ("login", &report.login_refused)] {
        object[key] = said.as_ref().map_or(Value::Null, |said| reply(Some(said)));
    }
    object
}

fn reply(said: Option<&Said>) -> Value {
    let enhanced = said.and_then(|said| said.enhanced).map(|[a, b, c]| format!("{a}.{b}.{c}"));
    json!({
        "code": said.map(|said| said.code),
        "enhanced": enhanced,
        "text": said.map(|said| String::from_utf8_lossy(&said.text)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u16) -> Said {
        Said { code, enhanced: None, text: b"x".as_slice().into() }
    }

    fn code(recipients: &[Outcome], result: Result<(), Failure>) -> u8 {
        let report = Report { recipients: recipients.to_vec(), ..Report::default() };
        verdict(&report, result).map_or_else(|failure| failure.code, |()| 0)
    }

    #[test]
    fn recipients_decide() {
        use Outcome::{Delivered, NotSent, Refused, Unknown};
        let lost = || Err(Failure::new(exit::NETWORK, "lost"));
        assert_eq!(code(&[Delivered(said(250)), Delivered(said(250))], Ok(())), 0);
        assert_eq!(code(&[Delivered(said(250)), Refused(said(550))], Ok(())), 8);
        assert_eq!(code(&[Delivered(said(250)), Refused(said(450))], Ok(())), 9);
        assert_eq!(code(&[Refused(said(550)), Refused(said(450))], Ok(())), 8);
        assert_eq!(code(&[Unknown], lost()), 3);
        assert_eq!(code(&[NotSent], lost()), 3);
        // A failed goodbye takes nothing back.
        assert_eq!(code(&[Delivered(said(250))], lost()), 0);
    }

    #[test]
    fn refusals_before_the_recipients_count_first() {
        let report = Report {
            recipients: vec![Outcome::NotSent],
            login_refused: Some(said(535)),
            ..Report::default()
        };
        let failure = verdict(&report, Ok(())).unwrap_err();
        assert_eq!((failure.code, &*failure.text), (8, "the server refused the login: 535 x"));
    }
}
