//! `stripe-mock` holds Stripe's published description and refuses what does not fit it.

use super::all;
use lumadb_billing::stripe::{Failure, Stripe};
use lumadb_contract::secret::Secret;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Mock {
    child: Child,
    address: String,
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the program that the script builds once.
fn mock() -> Mock {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/stripe_mock.sh");
    let output = Command::new(script)
        .stderr(Stdio::inherit())
        .output()
        .expect("the script runs");
    assert!(output.status.success(), "stripe-mock was not built");
    let program = String::from_utf8(output.stdout).expect("a path");
    let mut child = Command::new(program.trim())
        // Without an address of its own, its second server would take one that two can't share.
        .args(["-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("stripe-mock starts");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let mut lines = output.lines().map_while(Result::ok);
    let address = lines
        .find_map(|line| {
            let start = "Listening for HTTP at address: ";
            Some(format!("http://{}", line.strip_prefix(start)?))
        })
        .expect("an address");
    // It stops when nobody reads what it prints.
    std::thread::spawn(move || lines.for_each(drop));
    Mock { child, address }
}

fn client(mock: &Mock) -> Stripe {
    Stripe::new(&Secret::new("sk_test_mock"), Some(&mock.address)).expect("a client")
}

#[tokio::test]
async fn every_request_of_ours_fits_the_published_description() {
    let mock = mock();
    let wrong: Vec<_> = all(&client(&mock))
        .await
        .into_iter()
        .filter(|(_, sent)| sent.is_err())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn the_judge_refuses_what_does_not_fit() {
    let mock = mock();
    let stripe = Stripe::new(&Secret::new("not a key of Stripe's"), Some(&mock.address));
    let sent = stripe.expect("a client").customer("cus_1").await;
    let refused = matches!(sent, Err(Failure::NotServed { status: 401, .. }));
    assert!(refused, "{sent:?}");
}
