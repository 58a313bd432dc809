//! The main job: Request and Facts make a Plan, the Plan is executed, the Report says what came out.

pub mod execute;
pub mod facts;
pub mod journal;
pub mod password;
pub mod plan;
pub mod report;
pub mod request;
pub mod wizard;
