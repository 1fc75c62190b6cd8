//! The worker dies right after each of its writes: nothing is there twice, and nothing is left.

use super::operator::StandIn;
use super::{LIMIT, World};
use lumadb_contract::id::DatabaseId;
use lumadb_e2e::Outcome;
use lumadb_e2e::wait::until;
use serde_json::Value;

/// Writes of a creation, and of a removal: suspended, its Secret, deleted. The Secret may be gone by
/// itself before it is deleted.
const CREATING: u64 = 2;
const REMOVING: u64 = 3;

#[tokio::test]
async fn a_worker_that_dies_after_any_write_leaves_nothing_doubled_and_nothing_behind()
-> Outcome<()> {
    let world = World::new().await?;
    let _operator = StandIn::start(world.client.clone());
    for writes in 1..=CREATING {
        let name = format!("created-{writes}");
        world.proxy.cut_after(writes);
        let asked = world.ada.request_database(&name).await?.expect(201)?;
        dies_here(&world).await?;
        world
            .ada
            .operation_succeeds(&asked.text_at("/operation/id")?)
            .await?;
    }
    let listed = world.databases_of_the_api().await?;
    assert_eq!(listed.len(), 2);
    world.holds(&listed).await?;
    for writes in 1..=REMOVING {
        let made = world
            .ada
            .create_database(&format!("removed-{writes}"))
            .await?;
        let id: DatabaseId = made.id.parse()?;
        world.proxy.cut_after(writes);
        let asked = world.ada.api.delete(&format!("/v1/databases/{id}")).await?;
        let operation = asked.text_at("/operation/id")?;
        dies_here(&world).await?;
        world.ada.operation_succeeds(&operation).await?;
        world.holds(&listed).await?;
    }
    Ok(())
}

/// Waits for the cut, and kills whoever wrote.
async fn dies_here(world: &World) -> Outcome<()> {
    tokio::time::timeout(LIMIT, world.proxy.until_cut()).await?;
    world.kill_worker().await?;
    world.proxy.mend();
    Ok(())
}

impl World {
    async fn databases_of_the_api(&self) -> Outcome<Vec<DatabaseId>> {
        let path = format!("/v1/projects/{}/databases", self.ada.project_id);
        until("the list of databases", LIMIT, || async {
            let listed = self.ada.api.read(&path).await?;
            let items = listed["items"].as_array().ok_or("no list")?;
            let id = |item: &Value| -> Outcome<DatabaseId> {
                Ok(item["id"].as_str().ok_or("no ID")?.parse()?)
            };
            let ids: Outcome<Vec<DatabaseId>> = items.iter().map(id).collect();
            Ok(Some(ids?))
        })
        .await
    }
}
