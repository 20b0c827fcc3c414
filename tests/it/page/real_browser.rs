//! A real browser: Debian's Chromium, asked over the WebDriver protocol through its own driver. scripts/test installs both.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Client;
use rowbell_lab::demo::scratch::{Guard, Scratch};
use serde_json::{Value, json};

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    pub is_dark: bool,
    pub has_scripts: bool,
}

/// A running driver with one window.
pub struct Chromium {
    _driver: Driver,
    client: Client,
    session: String,
}

/// The driver and its browser: one group of processes, ended together, also when the test is killed.
struct Driver {
    process: Child,
    _profile: Scratch,
    _guard: Guard,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The driver does not end its browser when it is told to end itself.
        let _ = Command::new("kill").args(["-KILL", "--", &group(&self.process)]).status();
        let _ = self.process.wait();
    }
}

fn group(process: &Child) -> String {
    format!("-{}", process.id())
}

impl Driver {
    /// The driver looks for a free port that it opens later, and ends if another process was faster.
    fn start() -> Option<(Driver, String)> {
        let program =
            std::env::var("ROWBELL_CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        let profile = Scratch::new("browser").unwrap();
        let mut process = Command::new(program)
            .arg("--port=0")
            .env("TMPDIR", profile.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver runs; scripts/test installs it with Chromium");
        let group = group(&process);
        let guard = Guard::new("kill -KILL -- \"$0\"", None, &[Path::new(&group)]).unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            let port = line.split("started successfully on port ").nth(1)?;
            Some(port.trim_end_matches('.').to_owned())
        });
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let driver = Driver { process, _profile: profile, _guard: guard };
        port.map(|port| (driver, port))
    }
}

impl Chromium {
    pub async fn open(look: Look) -> Chromium {
        let (driver, port) = (0..5)
            .find_map(|_| Driver::start())
            .expect("chromedriver says on which port it listens");
        let session = format!("http://127.0.0.1:{port}/session");
        let mut chromium =
            Chromium { _driver: driver, client: Client::builder().build().unwrap(), session };
        let scripts = if look.has_scripts { 1 } else { 2 };
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1440,1000"],
            "prefs": {"profile.managed_default_content_settings.javascript": scripts},
        });
        let asked = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let answer = chromium.ask("", asked).await;
        let id = answer["sessionId"].as_str().unwrap().to_owned();
        chromium.session = format!("{}/{id}", chromium.session);
        let metrics =
            json!({"width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        chromium.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if look.is_dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        chromium.devtools("Emulation.setEmulatedMedia", media).await;
        chromium
    }

    async fn answer(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.session);
        let request = self.client.post(&url).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        answer["value"].take()
    }

    async fn ask(&self, path: &str, body: Value) -> Value {
        let answer = self.answer(path, body).await;
        assert!(answer["error"].is_null(), "{path}: {answer}");
        answer
    }

    async fn devtools(&self, command: &str, params: Value) {
        self.ask("/goog/cdp/execute", json!({"cmd": command, "params": params})).await;
    }

    pub async fn go(&self, url: &str) {
        self.ask("/url", json!({"url": url})).await;
    }

    /// Runs a script of the test in the page, whatever the page's own rules and scripts are.
    pub async fn eval(&self, script: &str) -> Value {
        self.ask("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Runs one that calls its last argument when it is done.
    pub async fn eval_later(&self, script: &str) -> Value {
        self.ask("/execute/async", json!({"script": script, "args": []})).await
    }

    async fn element(&self, css: &str) -> String {
        let found = self.ask("/element", json!({"using": "css selector", "value": css})).await;
        let id = found.as_object().unwrap().values().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    /// Presses a button that sends a form, agrees if the page asks first, and waits for the next page. The driver
    /// answers a click before the browser has begun to leave: whoever reads or goes on at once meets the page before.
    pub async fn submit(&self, css: &str, asks: bool) {
        let old = json!({"script": "window.before = true; return null", "args": []});
        self.ask("/execute/sync", old).await;
        let element = self.element(css).await;
        self.ask(&format!("{element}/click"), json!({})).await;
        if asks {
            self.ask("/alert/accept", json!({})).await;
        }
        let look = json!({"script": "return window.before !== true && document.readyState === 'complete'", "args": []});
        // While the page changes the driver may answer with an error; the next page answers true.
        while self.answer("/execute/sync", look.clone()).await != json!(true) {
            tokio::task::yield_now().await;
        }
    }

    pub async fn type_in(&self, css: &str, text: &str) {
        let element = self.element(css).await;
        self.ask(&format!("{element}/value"), json!({"text": text})).await;
    }

    async fn read(&self, path: &str) -> String {
        let url = format!("{}{path}", self.session);
        let text = self.client.get(&url).send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer["value"].as_str().unwrap_or_else(|| panic!("{path}: {text}")).to_owned()
    }

    /// The page as it stands now.
    pub async fn source(&self) -> String {
        self.read("/source").await
    }

    /// A picture of the window, as PNG in base64.
    pub async fn picture(&self) -> String {
        self.read("/screenshot").await
    }

    /// What axe-core finds on the page, each as its rule and the element.
    pub async fn violations(&self) -> Vec<String> {
        let file = std::env::var("ROWBELL_AXE").unwrap_or_else(|_| {
            concat!(env!("CARGO_MANIFEST_DIR"), "/target/axe/axe.min.js").to_owned()
        });
        let axe = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{file}: {error}; scripts/test fetches axe-core"));
        self.eval(&format!("{axe}; return null")).await;
        let found = self
            .eval_later(
                "const done = arguments[arguments.length - 1];
                 axe.run(document, {resultTypes: ['violations']}).then(
                     (found) => done(found.violations.flatMap((rule) => rule.nodes.map(
                         (node) => rule.id + ': ' + node.html + ' ' + node.failureSummary))),
                     (error) => done(['axe: ' + error]))",
            )
            .await;
        found.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    }
}
