// Uses the client of openapi-generator (go) against the server at SDK_URL.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"

	api "pockettasks"
)

const password = "correct horse battery staple"

func check(condition bool, format string, values ...any) {
	if !condition {
		fmt.Fprintf(os.Stderr, format+"\n", values...)
		os.Exit(1)
	}
}

func succeeded(err error) {
	var failure *api.GenericOpenAPIError
	if errors.As(err, &failure) {
		check(false, "%v: %s", err, failure.Body())
	}
	check(err == nil, "%v", err)
}

// failure returns the typed body of the error response that a request must have failed with.
func failure[T any](response *http.Response, err error, status int) T {
	var failure *api.GenericOpenAPIError
	check(errors.As(err, &failure), "the request did not fail as expected: %v", err)
	check(response.StatusCode == status, "status %d: %s", response.StatusCode, failure.Body())
	body, typed := failure.Model().(T)
	check(typed, "unexpected type %T", failure.Model())
	return body
}

func done(step string) {
	fmt.Println("  ok  " + step)
}

func unique() string {
	bytes := make([]byte, 16)
	_, err := rand.Read(bytes)
	succeeded(err)
	return hex.EncodeToString(bytes)
}

func account(name string) *api.Register {
	return api.NewRegister(strings.ToLower(name)+"-"+unique()+"@example.com", name, password)
}

func signedIn(token string) context.Context {
	return context.WithValue(context.Background(), api.ContextAccessToken, token)
}

// describe handles each event by its type.
func describe(event api.Event) string {
	switch event := event.GetActualInstance().(type) {
	case *api.TaskCreatedEvent:
		return "created " + event.Data.Title
	case *api.TaskUpdatedEvent:
		return "updated " + event.Data.Title
	case *api.TaskDeletedEvent:
		return "deleted " + event.Data.Title
	default:
		return fmt.Sprintf("%T", event)
	}
}

func main() {
	configuration := api.NewConfiguration()
	configuration.Servers = api.ServerConfigurations{{URL: os.Getenv("SDK_URL")}}
	client := api.NewAPIClient(configuration)
	anonymous := context.Background()

	ada := account("Ada")
	_, _, err := client.AuthAPI.Register(anonymous).Register(*ada).Execute()
	succeeded(err)
	grace, _, err := client.AuthAPI.Register(anonymous).Register(*account("Grace")).Execute()
	succeeded(err)
	done("register")

	session, _, err := client.AuthAPI.Login(anonymous).Login(*api.NewLogin(ada.Email, password)).Execute()
	succeeded(err)
	check(session.User.Email == ada.Email, "another account: %s", session.User.Email)
	ctx := signedIn(session.AccessToken)
	done("log in")

	project, _, err := client.ProjectsAPI.CreateProject(ctx).CreateProject(*api.NewCreateProject("Renovation")).Execute()
	succeeded(err)
	first, _, err := client.TasksAPI.ListProjectTasksV2(ctx, project.Id).Execute()
	succeeded(err)
	start := first.Meta.SyncCursor
	done("create a project")

	key := unique()
	tiles := api.NewCreateTask("Choose the tiles")
	tiles.SetDescription("Matte")
	task, _, err := client.TasksAPI.CreateTask(ctx, project.Id).IdempotencyKey(key).CreateTask(*tiles).Execute()
	succeeded(err)
	again, response, err := client.TasksAPI.CreateTask(ctx, project.Id).IdempotencyKey(key).CreateTask(*tiles).Execute()
	succeeded(err)
	check(reflect.DeepEqual(again, task), "another response: %v", again)
	check(response.Header.Get("Idempotency-Replayed") == "true", "not replayed")
	etag := response.Header.Get("ETag")
	done("create a task and retry it with the same key")

	create := func(title string, status api.TaskStatus) *api.Task {
		body := api.NewCreateTask(title)
		body.SetStatus(status)
		created, _, err := client.TasksAPI.CreateTask(ctx, project.Id).CreateTask(*body).Execute()
		succeeded(err)
		return created
	}
	second := create("Paint", api.TASKSTATUS_IN_PROGRESS)
	finished := create("Measure", api.TASKSTATUS_DONE)
	list := client.TasksAPI.ListProjectTasksV2(ctx, project.Id).
		Status([]api.TaskStatus{api.TASKSTATUS_TODO, api.TASKSTATUS_IN_PROGRESS}).Limit(1)
	var found []string
	pages := 0
	for more := true; more; pages++ {
		page, _, err := list.Execute()
		succeeded(err)
		for _, item := range page.Data {
			found = append(found, item.Id)
		}
		cursor := page.Meta.NextCursor.Get()
		if more = cursor != nil; more {
			list = list.Cursor(*cursor)
		}
	}
	check(reflect.DeepEqual(found, []string{second.Id, task.Id}) && pages == 2, "found %v on %d pages", found, pages)
	done("page by cursor with a filter of two values")

	change := api.NewUpdateTask()
	change.SetDescriptionNil()
	cleared, _, err := client.TasksAPI.UpdateTask(ctx, task.Id).UpdateTask(*change).Execute()
	succeeded(err)
	check(cleared.Description.Get() == nil && cleared.Title == task.Title, "not cleared: %v", cleared)
	done("clear a field with null")

	change = api.NewUpdateTask()
	change.SetTitle("Choose other tiles")
	_, response, err = client.TasksAPI.UpdateTask(ctx, task.Id).IfMatch(etag).UpdateTask(*change).Execute()
	stale := failure[api.StaleTask](response, err, 412)
	check(stale.Current.Id == task.Id && stale.Current.Description.Get() == nil, "another task: %v", stale.Current)
	done("receive the current task with a 412")

	_, response, err = client.TasksAPI.GetTask(signedIn(grace.AccessToken), task.Id).Execute()
	check(failure[api.ApiError](response, err, 403).Error == "FORBIDDEN", "another error")
	done("receive a 403")

	alan := account("Alan")
	alan.SetTimezone("Mars/Olympus")
	_, response, err = client.AuthAPI.Register(anonymous).Register(*alan).Execute()
	detail := failure[api.ApiError](response, err, 400).Details[0]
	check(detail.In == api.ERRORLOCATION_BODY && detail.Field == "timezone" && detail.Code == "format", "%v", detail)
	done("receive typed details of a 400")

	update := api.NewBatchUpdate("update", second.Id)
	update.SetTitle("Paint the ceiling")
	operations := []api.BatchOperation{
		api.BatchCreateAsBatchOperation(api.NewBatchCreate("create", "Order the tiles")),
		api.BatchUpdateAsBatchOperation(update),
		api.BatchDeleteAsBatchOperation(api.NewBatchDelete("delete", finished.Id)),
	}
	batch, _, err := client.TasksAPI.BatchTasks(ctx, project.Id).TaskBatch(*api.NewTaskBatch(operations)).Execute()
	succeeded(err)
	results := batch.Results
	check(len(results) == 3 && results[0].Title == "Order the tiles" && results[1].Title == "Paint the ceiling" &&
		results[2] == nil, "%v", results)
	done("run a batch")

	feed, _, err := client.EventsAPI.ListEvents(ctx).Cursor(start).ProjectId(project.Id).Execute()
	succeeded(err)
	var seen []string
	for _, event := range feed.Data {
		seen = append(seen, describe(event))
	}
	check(reflect.DeepEqual(seen, []string{
		"created Choose the tiles",
		"created Paint",
		"created Measure",
		"updated Choose the tiles",
		"created Order the tiles",
		"updated Paint the ceiling",
		"deleted Measure",
	}), "%v", seen)
	done("read events by their type")

	_, err = client.TasksAPI.DeleteTask(ctx, task.Id).Execute()
	succeeded(err)
	_, response, err = client.TasksAPI.GetTask(ctx, task.Id).Execute()
	check(failure[api.ApiError](response, err, 404).Error == "NOT_FOUND", "another error")
	done("delete a task")

	body := api.NewCreateWebhook("https://hooks.example.com/tasks", []api.WebhookEventName{api.WEBHOOKEVENTNAME_TASK_CREATED})
	webhook, _, err := client.WebhooksAPI.CreateWebhook(ctx).CreateWebhook(*body).Execute()
	succeeded(err)
	rotation := api.NewRotateSecret()
	rotation.SetOverlapSeconds(60)
	rotated, _, err := client.WebhooksAPI.RotateWebhookSecret(ctx, webhook.Id).RotateSecret(*rotation).Execute()
	succeeded(err)
	check(strings.HasPrefix(webhook.Secret, "whsec_") && strings.HasPrefix(rotated.Secret, "whsec_"), "no secret")
	check(rotated.Secret != webhook.Secret, "the same secret")
	done("create a webhook and rotate its secret")
}
