// Operation: one thing that a caller can ask of the daemon. Each is declared once, with its name, its scope,
// its parameters and its answer. The routes, the checks of parameters and the OpenAPI document come from that
// declaration, so a parameter cannot be documented and not read, or read and not documented.
//
// Parameters can arrive in the path, the query or the body of an HTTP request, or as members of one JSON
// object (`params` of JSON-RPC). A Call holds them checked, wherever they came from.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/http/http.h"
#include "control/http/router.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event.h"

namespace reeve {

class Agent;
class Call;
struct ApiContext;

struct Parameter {
  enum class In : uint8_t {
    kPath,
    kQuery,
    kBody,   // a member of the body
    kWhole,  // the body itself: JSON, or bytes
  };
  enum class Type : uint8_t {
    kAgent,     // the id of an agent that is not deleted
    kAnyAgent,  // the id of an agent
    kString,
    kInteger,
    kBoolean,
    kCursor,  // a string, such as "3-1042"
    kTypes,   // types of events, separated by commas
    kLabels,  // "key:value"; may be repeated
    kJson,    // a value whose schema has a name
    kBytes,
  };

  std::string_view name;
  In in = In::kQuery;
  Type type = Type::kString;
  std::string_view text = {};  // a sentence
  bool required = false;       // the handler demands it
  // Bounds of an integer.
  int64_t least = 0;
  int64_t most = INT64_MAX;
  // The strings that are allowed; empty: all.
  std::vector<std::string_view> choices = {};
  // How an error describes a good value, if not by the type, the bounds or the choices.
  std::string_view must = {};
  std::string_view schema = {};  // of kJson and kBytes: a name of schemas.json

  [[nodiscard]] Parameter Between(int64_t low, int64_t high) &&;
  [[nodiscard]] Parameter OneOf(std::vector<std::string_view> values) &&;
  [[nodiscard]] Parameter Must(std::string_view description) &&;
  [[nodiscard]] Parameter Required() &&;
};

// Short ways to declare one.
Parameter PathAgent(Parameter::Type type = Parameter::Type::kAgent);  // "{id}"
Parameter Path(std::string_view name, std::string_view text);
Parameter Query(std::string_view name, Parameter::Type type, std::string_view text);
Parameter Member(std::string_view name, Parameter::Type type, std::string_view text);
Parameter JsonMember(std::string_view name, std::string_view schema, std::string_view text);
Parameter WholeBody(std::string_view name, std::string_view schema, std::string_view text);
Parameter WholeBytes(std::string_view name, std::string_view text);

// How an operation is offered to a language model: as a tool of the Model Context Protocol (control/mcp/).
struct Tool {
  std::string_view name = {};  // "stop_agent"; empty: it is no tool
  // Sentences for a model that has no manual: the purpose, the important arguments, the next step.
  std::string_view text = {};
  bool destructive = false;  // it may end or lose work that cannot be brought back
  bool idempotent = false;   // repeating it changes nothing more
  // The parameters that a model gets; empty: all.
  std::vector<std::string_view> parameters = {};
  std::string_view defaults = {};  // JSON members of arguments that the model leaves out, such as "limit":100
  // The parameter that bounds the time of a wait, in milliseconds; empty: it does not wait. A tool may wait
  // longer than `most` of that parameter, in several waits.
  std::string_view wait = {};
  std::string_view nothing = {};  // the text of an answer without a body
  // For a wait that takes several: JSON members of the arguments which say what it waits for, as things are
  // now. Without them a later part could wait for something else. May be empty. Null: the arguments say it.
  std::string (*target)(const ApiContext& api, const JsonValue& arguments) = nullptr;
};

struct Operation {
  using Run = void (*)(ApiContext& api, const Call& call, Reply reply);
  struct Answer {
    int status = 200;
    std::string_view schema = {};  // a name of schemas.json; empty: the answer has no body
    std::string_view media = "application/json";
  };

  std::string_view name;  // "agents.stop"
  Access access = Access::kView;
  std::string_view method = {};
  std::string_view path = {};  // "/agents/{id}/stop"; empty, like the method: HTTP does not have it
  std::string_view text;       // a sentence
  std::vector<Parameter> parameters = {};
  std::vector<Answer> answers = {};  // the first is the usual one
  // The codes of errors that are peculiar to it (problem.h).
  std::vector<std::string_view> errors = {};
  bool not_of_itself = false;  // an agent must not call it about itself: it would answer its own questions
  Run run = nullptr;
  bool probe = false;      // answers load balancers, also when the server is full
  bool secret = false;     // an answer contains a secret, and is not kept for an Idempotency-Key
  bool any_query = false;  // others decorate its address
  Tool tool = {};

  [[nodiscard]] bool Has(Parameter::In in) const;
  [[nodiscard]] const Parameter* Find(std::string_view parameter) const;  // null if there is none
  // Its body is a JSON object whose members are parameters; there may be none.
  [[nodiscard]] bool reads_members() const;
  // An object of arguments is its whole body.
  [[nodiscard]] bool params_are_whole() const;
  // An Idempotency-Key makes it safe to repeat (idempotency.h). A method of a gateway alone takes none.
  [[nodiscard]] bool takes_key() const { return !method.empty() && method != "GET" && !secret; }
};

// All operations, in the order of the pages. Made at the first call.
const std::vector<Operation>& Operations();
// The operation with that name; null if there is none.
const Operation* FindOperation(std::string_view name);

// One call of an operation: its arguments, each checked against its declaration, and who calls. It refers to
// what it was read from.
class Call {
 public:
  // From the path, the query and the body. Error: that of the first argument that is wrong. The agent comes
  // first, then unknown members of the body, then the parameters in the order of their declaration.
  static Result<Call> Read(const ApiContext& api, const Operation& operation, const Request& request);

  // From one JSON object, the body of `request`, whose members are the arguments; an empty body is {}. A
  // whole body is the object itself if it is the only parameter and JSON, otherwise a member too. Bytes are a
  // string, or {"base64": "…"}; labels are one string or an array of them, and so are types. An argument that
  // is part of a path may be a whole number. The checks are those of Read, in its order.
  static Result<Call> ReadParams(const ApiContext& api, const Operation& operation, const Request& request);

  // --- arguments. The name must be a parameter of the operation.
  // The agent of the first parameter.
  [[nodiscard]] Agent& agent() const { return *agent_; }
  [[nodiscard]] std::optional<std::string_view> Text(std::string_view name) const;
  [[nodiscard]] std::string String(std::string_view name) const;  // empty if absent
  [[nodiscard]] std::optional<int64_t> Integer(std::string_view name) const;
  [[nodiscard]] std::optional<bool> Flag(std::string_view name) const;
  [[nodiscard]] std::optional<Cursor> Position(std::string_view name) const;
  using Labels = std::vector<std::pair<std::string, std::string>>;
  [[nodiscard]] Labels LabelsOf(std::string_view name) const;
  [[nodiscard]] TypeFilter Types(std::string_view name) const;
  [[nodiscard]] JsonValue Json(std::string_view name) const;
  // The object whose members are the arguments: the body, or the params.
  [[nodiscard]] JsonValue body() const { return body_ ? body_->root() : JsonValue(); }

  // --- who calls
  [[nodiscard]] const std::optional<Request::Caller>& caller() const { return request_->caller; }
  [[nodiscard]] bool HasScope(Scope scope) const { return caller() && caller()->scope >= scope; }
  [[nodiscard]] uint64_t token() const { return caller() ? caller()->token : 0; }
  [[nodiscard]] std::string by() const { return caller() ? caller()->by : Request::Caller().by; }
  // Its key, its origin and its id.
  [[nodiscard]] const Request& request() const { return *request_; }

 private:
  // The value of a parameter: texts of the path, the query or the body, or a value of JSON.
  struct Argument {
    std::vector<std::string_view> texts;
    JsonValue json;

    [[nodiscard]] bool present() const { return !texts.empty() || json.present(); }
    [[nodiscard]] std::optional<std::string_view> Text() const;
    [[nodiscard]] std::optional<int64_t> Integer() const;
    [[nodiscard]] std::optional<bool> Flag() const;
  };

  Call(const Operation& operation, const Request& request);
  void TakePathAndQuery();
  void TakeParams();
  Argument ArgumentOf(const Parameter& parameter, const JsonValue& given);
  Status FindAgent(const ApiContext& api);
  Status ReadBody();
  [[nodiscard]] Status CheckParams() const;
  [[nodiscard]] Status CheckArguments() const;
  static Status Check(const Parameter& parameter, const Argument& argument);
  [[nodiscard]] const Argument& Given(std::string_view name) const;

  const Operation* operation_;
  const Request* request_;
  Agent* agent_ = nullptr;
  std::optional<JsonDocument> body_;
  std::vector<Argument> arguments_;  // in the order of the parameters
  std::deque<std::string> made_;     // the texts of arguments that the JSON has in another form
};

// How errors describe a good cursor.
inline constexpr std::string_view kCursorMust =
    "must be a cursor, such as 3-1042 (`cursor` of an agent or event), or 0";

// Error "invalid_request" for the first member of `object` that is not in `known`.
Status CheckMembers(const JsonValue& object, const std::vector<std::string_view>& known);

}  // namespace reeve
