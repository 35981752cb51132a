//! Delegation to another store for everything but the event feed.

/// Implements the repositories of a type: those of its `rest()`, and its own feed.
macro_rules! feed_over {
    ($type:ident) => {
        $crate::support::delegation::feed_over! { @each $type:
            users: UserRepository,
            sessions: SessionRepository,
            projects: ProjectRepository,
            members: MemberRepository,
            invitations: InvitationRepository,
            tasks: TaskRepository,
            task_lists: TaskListRepository,
            comments: CommentRepository,
            webhooks: WebhookRepository,
            deliveries: DeliveryRepository,
            idempotency: IdempotencyRepository,
            email_tokens: EmailTokenRepository,
            api_tokens: ApiTokenRepository,
            jobs: JobRepository,
            queue: QueueRepository,
            maintenance: MaintenanceRepository,
            webhook_maintenance: WebhookMaintenanceRepository,
        }
    };
    (@each $type:ident: $($name:ident: $trait:ident),* $(,)?) => {
        impl pocket_tasks::repositories::Repositories for $type {
            $(
                fn $name(&self) -> &dyn pocket_tasks::repositories::$trait {
                    self.rest().$name()
                }
            )*

            fn events(&self) -> &dyn pocket_tasks::repositories::EventRepository {
                self.feed()
            }
        }
    };
}

pub(crate) use feed_over;
