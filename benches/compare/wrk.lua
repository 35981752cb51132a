-- Sends BODY, if it is set, and prints the result as one line of JSON.
local body = os.getenv("BODY")
if body then
    wrk.method = "POST"
    wrk.body = body
    wrk.headers["Content-Type"] = "application/json"
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "bytes": %d, "errors": %d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.bytes,
        errors.connect + errors.read + errors.write + errors.timeout + errors.status
    ))
end
