//! Who gets in, what each token opens, and what a browser is told to do with what it gets.

use reqwest::{Method, StatusCode};

use crate::harness::{ACT_TOKEN, READ_TOKEN, World};
use crate::page::browser::{Browser, PAGE, Served};

/// Nobody sees anything before they have logged in, whichever address they know.
#[tokio::test]
async fn nothing_is_shown_to_a_stranger() {
    let world = World::with_settings(PAGE).await;
    let served = Served::of(&world).await;
    let stranger = Browser::new(&served);
    for path in ["/", "/now", "/now/live"] {
        let seen = stranger.get(path).await;
        assert_eq!(
            (seen.status, seen.location.as_deref()),
            (StatusCode::SEE_OTHER, Some("/login")),
            "{path}"
        );
        assert_eq!(seen.text, "", "{path}");
    }
    assert_eq!(stranger.post("/logout", &[]).await.location.as_deref(), Some("/login"));
    assert!(stranger.get("/login").await.has("Token"));
    assert_eq!(stranger.get("/nothing").await.status, StatusCode::NOT_FOUND);
}

/// A wrong token opens nothing and is not repeated; ten of them within a minute close the door to the address that they came
/// from, until the minute is over. Others come in meanwhile.
#[tokio::test]
async fn a_wrong_token_opens_nothing_and_cannot_be_guessed() {
    let world = World::with_settings(PAGE).await;
    let served = Served::of(&world).await;
    let stranger = Browser::new(&served);
    let wrong = [("name", "Eve"), ("token", "read-012345678")];
    for _ in 0..10 {
        let seen = stranger.post("/login", &wrong).await;
        assert_eq!((seen.status, &seen.cookie), (StatusCode::FORBIDDEN, &None));
        assert!(seen.has("not known") && !seen.has("read-012345678"));
    }
    let right = [("name", "Maria"), ("token", READ_TOKEN)];
    assert_eq!(stranger.post("/login", &right).await.status, StatusCode::TOO_MANY_REQUESTS);
    let elsewhere =
        stranger.request(Method::POST, "/login").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(stranger.sent(elsewhere, &right).await.location.as_deref(), Some("/now"));
    world.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(stranger.post("/login", &right).await.location.as_deref(), Some("/now"));
    let nameless = [("name", " "), ("token", READ_TOKEN)];
    assert_eq!(
        Browser::new(&served).post("/login", &nameless).await.status,
        StatusCode::BAD_REQUEST
    );
}

/// The cookie is kept from scripts and from other sites, ends with the login, and behind TLS it travels only there. What
/// the page shows is kept by no browser, framed by no site, and runs no script but ours.
#[tokio::test]
async fn a_login_is_kept_safe() {
    let world = World::with_settings(PAGE).await;
    let served = Served::of(&world).await;
    let browser = Browser::new(&served);
    let seen = browser.post("/login", &[("name", "Maria"), ("token", ACT_TOKEN)]).await;
    let cookie = seen.cookie.unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(ACT_TOKEN) && !cookie.contains("Maria"), "{cookie}");
    let seen = browser.get("/now").await;
    assert!(
        seen.status == StatusCode::OK && seen.has("Maria") && !seen.has("may read"),
        "{}",
        seen.text
    );
    let header = |name: &str| seen.headers[name].to_str().unwrap();
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "same-origin");
    let policy = header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!seen.has("style=\"") && !seen.has("<style") && !seen.has("onclick"), "nothing inline");
    let over_tls = browser.request(Method::POST, "/login").header("x-forwarded-proto", "https");
    let seen = browser.sent(over_tls, &[("name", "Maria"), ("token", ACT_TOKEN)]).await;
    assert!(seen.cookie.unwrap().ends_with("; Secure"));
    world.clock.advance(std::time::Duration::from_secs(43_200));
    assert_eq!(browser.get("/now").await.location.as_deref(), Some("/login"), "the login is over");
}

/// Another site cannot log a visitor out, even if it knows the address of the form: it does not know what our forms
/// carry, and a browser says where a form comes from.
#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let world = World::with_settings(PAGE).await;
    let served = Served::of(&world).await;
    let browser = Browser::of(&served, "Maria", READ_TOKEN).await;
    assert_eq!(browser.post("/logout", &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        browser.post("/logout", &[("form_token", "00")]).await.status,
        StatusCode::FORBIDDEN
    );
    let token = browser.get("/now").await.hidden("form_token");
    let elsewhere =
        browser.request(Method::POST, "/logout").header("origin", "https://evil.example");
    let seen = browser.sent(elsewhere, &[("form_token", token.as_str())]).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    let elsewhere = browser.request(Method::POST, "/login").header("sec-fetch-site", "cross-site");
    let seen = browser.sent(elsewhere, &[("name", "Eve"), ("token", READ_TOKEN)]).await;
    assert_eq!((seen.status, seen.cookie), (StatusCode::FORBIDDEN, None));
    assert_eq!(browser.get("/now").await.status, StatusCode::OK, "still logged in");
    let seen = browser.submit("/now", "/logout", &[]).await;
    assert_eq!(seen.location.as_deref(), Some("/login"));
    assert_eq!(browser.get("/now").await.location.as_deref(), Some("/login"));
}
