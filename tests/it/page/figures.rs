//! Figures with the queries that made them, and what the watches page previews.

use rowbell::pipeline::context::stage::{Progress, Stage as _};

use crate::harness::{READ_TOKEN, World};
use crate::page::browser::{Browser, PAGE, Served};

/// Each figure is a picture, a table, a CSV and the query; the query runs as it stands and gives what the table shows.
#[tokio::test]
async fn each_figure_has_its_query_beside_it_and_a_csv() {
    let mut world = World::with_settings(PAGE).await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.sql("update customer set phone = 'none' where id = 2").await;
    world.sql("update delivery set address = 'Plaza Mayor 5' where id = 2").await;
    world.settle().await;
    while world.stages.day_count.step().await.unwrap() == Progress::Worked {}
    let served = Served::of(&world).await;
    let browser = Browser::of(&served, "Ana", READ_TOKEN).await;
    let seen = browser.get("/figures").await;
    for text in [
        "<svg",
        "set time zone 'UTC'",
        "rowbell_report.day",
        "rowbell_report.day_latency",
        "rowbell_report.cost",
        "home_delivery",
    ] {
        assert!(seen.has(text), "{text}: {}", seen.text);
    }
    assert!(!seen.has("Maria") && !seen.has("12122000001"), "no figure names anybody");
    let csv = browser.get("/figures/funnel.csv").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let day = world
        .value("select (first_changed_at at time zone 'UTC')::date from rowbell.message limit 1")
        .await;
    assert_eq!(csv.text, format!("day,changes,net_changes,sent,delivered,read\n{day},2,2,1,0,0\n"));
    for (name, lines) in [("time_to_phone", 2), ("failures", 1), ("weeks", 2), ("cost", 1)] {
        let csv = browser.get(&format!("/figures/{name}.csv")).await;
        assert_eq!(csv.text.lines().count(), lines, "{name}: {}", csv.text);
    }
    assert_eq!(browser.get("/figures/passwords.csv").await.status.as_u16(), 404);
}
