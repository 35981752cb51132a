import com.fasterxml.jackson.core.JsonProcessingException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import pockettasks.ApiClient;
import pockettasks.ApiException;
import pockettasks.ApiResponse;
import pockettasks.api.AuthApi;
import pockettasks.api.EventsApi;
import pockettasks.api.ProjectsApi;
import pockettasks.api.TasksApi;
import pockettasks.api.WebhooksApi;
import pockettasks.model.*;

/** Uses the client of openapi-generator (java, native) against the server at SDK_URL. */
public final class Walk {
    private static final String PASSWORD = "correct horse battery staple";

    private interface Request {
        Object send() throws ApiException;
    }

    private static ApiClient client(String token) {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("SDK_URL"));
        if (token != null) client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        return client;
    }

    private static Register account(String name) {
        String email = name.toLowerCase(Locale.ROOT) + "-" + UUID.randomUUID() + "@example.com";
        return new Register().name(name).email(email).password(PASSWORD);
    }

    /** Returns the typed body of the error response that a request must have failed with. */
    private static <T> T failure(int status, Class<T> type, Request request) throws JsonProcessingException {
        try {
            request.send();
        } catch (ApiException error) {
            equal(error.getCode(), status);
            return ApiClient.createDefaultObjectMapper().readValue(error.getResponseBody(), type);
        }
        throw new AssertionError("the request did not fail");
    }

    private static void equal(Object actual, Object expected) {
        if (!Objects.equals(actual, expected)) throw new AssertionError(actual + " is not " + expected);
    }

    private static void done(String step) {
        System.out.println("  ok  " + step);
    }

    /** Handles each event by its type. */
    private static String describe(Event event) {
        Object actual = event.getActualInstance();
        if (actual instanceof TaskCreatedEvent created) return "created " + created.getData().getTitle();
        if (actual instanceof TaskUpdatedEvent updated) return "updated " + updated.getData().getTitle();
        if (actual instanceof TaskDeletedEvent deleted) return "deleted " + deleted.getData().getTitle();
        throw new AssertionError(actual);
    }

    public static void main(String[] arguments) throws Exception {
        AuthApi auth = new AuthApi(client(null));
        Register ada = account("Ada");
        auth.register(ada);
        Session grace = auth.register(account("Grace"));
        done("register");

        Session session = auth.login(new Login().email(ada.getEmail()).password(PASSWORD));
        equal(session.getUser().getEmail(), ada.getEmail());
        ApiClient client = client(session.getAccessToken());
        TasksApi tasks = new TasksApi(client);
        done("log in");

        UUID project = new ProjectsApi(client).createProject(new CreateProject().name("Renovation"), null).getId();
        String start = page(tasks, project, null, null, null).getMeta().getSyncCursor();
        done("create a project");

        String key = UUID.randomUUID().toString();
        CreateTask tiles = new CreateTask().title("Choose the tiles").description("Matte");
        Task task = tasks.createTask(project, tiles, key);
        ApiResponse<Task> again = tasks.createTaskWithHttpInfo(project, tiles, key);
        equal(again.getData(), task);
        Map<String, List<String>> headers = again.getHeaders();
        equal(headers.get("idempotency-replayed"), List.of("true"));
        done("create a task and retry it with the same key");

        Task second = tasks.createTask(project, new CreateTask().title("Paint").status(TaskStatus.IN_PROGRESS), null);
        Task finished = tasks.createTask(project, new CreateTask().title("Measure").status(TaskStatus.DONE), null);
        List<UUID> found = new ArrayList<>();
        int pages = 0;
        String cursor = null;
        do {
            TaskCursorPage page = page(tasks, project, 1, cursor, List.of(TaskStatus.TODO, TaskStatus.IN_PROGRESS));
            page.getData().forEach(item -> found.add(item.getId()));
            cursor = page.getMeta().getNextCursor();
            pages++;
        } while (cursor != null);
        equal(found, List.of(second.getId(), task.getId()));
        equal(pages, 2);
        done("page by cursor with a filter of two values");

        Task cleared = tasks.updateTask(task.getId(), new UpdateTask().description(null), null, null);
        equal(cleared.getDescription(), null);
        equal(cleared.getTitle(), task.getTitle());
        done("clear a field with null");

        String etag = headers.get("etag").get(0);
        UpdateTask change = new UpdateTask().title("Choose other tiles");
        StaleTask stale = failure(412, StaleTask.class, () -> tasks.updateTask(task.getId(), change, null, etag));
        equal(stale.getCurrent().getId(), task.getId());
        equal(stale.getCurrent().getDescription(), null);
        done("receive the current task with a 412");

        TasksApi stranger = new TasksApi(client(grace.getAccessToken()));
        ApiError forbidden = failure(403, ApiError.class, () -> stranger.getTask(task.getId(), null));
        equal(forbidden.getError(), "FORBIDDEN");
        done("receive a 403");

        Register alan = account("Alan").timezone("Mars/Olympus");
        ErrorDetail detail = failure(400, ApiError.class, () -> auth.register(alan)).getDetails().get(0);
        equal(detail.getIn(), ErrorLocation.BODY);
        equal(detail.getField(), "timezone");
        equal(detail.getCode(), "format");
        done("receive typed details of a 400");

        TaskBatch operations = new TaskBatch()
                .addOperationsItem(new BatchOperation(
                        new BatchCreate().op(BatchCreate.OpEnum.CREATE).title("Order the tiles")))
                .addOperationsItem(new BatchOperation(new BatchUpdate()
                        .op(BatchUpdate.OpEnum.UPDATE)
                        .taskId(second.getId())
                        .title("Paint the ceiling")))
                .addOperationsItem(new BatchOperation(
                        new BatchDelete().op(BatchDelete.OpEnum.DELETE).taskId(finished.getId())));
        List<Task> results = tasks.batchTasks(project, operations, null).getResults();
        List<String> titles = results.stream().map(result -> result == null ? null : result.getTitle()).toList();
        equal(titles, Arrays.asList("Order the tiles", "Paint the ceiling", null));
        done("run a batch");

        EventPage feed = new EventsApi(client).listEvents(null, start, null, project, null);
        equal(
                feed.getData().stream().map(Walk::describe).toList(),
                List.of(
                        "created Choose the tiles",
                        "created Paint",
                        "created Measure",
                        "updated Choose the tiles",
                        "created Order the tiles",
                        "updated Paint the ceiling",
                        "deleted Measure"));
        done("read events by their type");

        tasks.deleteTask(task.getId(), null, null);
        ApiError missing = failure(404, ApiError.class, () -> tasks.getTask(task.getId(), null));
        equal(missing.getError(), "NOT_FOUND");
        done("delete a task");

        WebhooksApi webhooks = new WebhooksApi(client);
        CreateWebhook hook =
                new CreateWebhook().url("https://hooks.example.com/tasks").addEventsItem(WebhookEventName.TASK_CREATED);
        WebhookWithSecret webhook = webhooks.createWebhook(hook, null);
        WebhookWithSecret rotated =
                webhooks.rotateWebhookSecret(webhook.getId(), null, new RotateSecret().overlapSeconds(60));
        equal(webhook.getSecret().startsWith("whsec_") && rotated.getSecret().startsWith("whsec_"), true);
        equal(webhook.getSecret().equals(rotated.getSecret()), false);
        done("create a webhook and rotate its secret");
    }

    private static TaskCursorPage page(
            TasksApi tasks, UUID project, Integer limit, String cursor, List<TaskStatus> status) throws ApiException {
        return tasks.listProjectTasksV2(
                project, limit, cursor, null, null, status, null, null, null, null, null, null, null, null, null);
    }
}
