#include "control/api/openapi.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>
#include <vector>

#include "control/api/api.h"
#include "control/dashboard/assets.h"
#include "control/http/problem.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

using In = Parameter::In;
using Type = Parameter::Type;

constexpr std::string_view kJson = "application/json";
// Errors of the daemon or its machine, which any operation can have.
constexpr std::string_view kAlways[] = {"internal",     "os_error",  "store_failed",
                                        "spawn_failed", "disk_full", "no_descriptors"};

std::string Reference(std::string_view schema) {
  return JsonObject().Set("$ref", std::string("#/components/schemas/").append(schema)).Take();
}

std::string Strings(const std::vector<std::string_view>& texts) {
  JsonArray array;
  for (const std::string_view text : texts) array.Add(text);
  return array.Take();
}

std::string SchemaOf(const Parameter& parameter) {
  JsonObject schema;
  switch (parameter.type) {
    case Type::kAgent:
    case Type::kAnyAgent:
      return Reference("AgentId");
    case Type::kCursor:
      return Reference("Cursor");
    case Type::kJson:
      return Reference(parameter.schema);
    case Type::kBytes:
      return Reference("Bytes");
    case Type::kBoolean:
      return schema.Set("type", "boolean").Take();
    case Type::kInteger:
      schema.Set("type", "integer").Set("minimum", parameter.least);
      if (parameter.most != INT64_MAX) schema.Set("maximum", parameter.most);
      return schema.Take();
    case Type::kLabels:
      return schema.Set("type", "array").SetRaw("items", R"({"type":"string","pattern":":"})").Take();
    case Type::kTypes:
    case Type::kString:
      schema.Set("type", "string");
      if (!parameter.choices.empty()) schema.SetRaw("enum", Strings(parameter.choices));
      return schema.Take();
  }
  return schema.Take();
}

// The problem document that an error with this code has.
std::string ProblemExample(std::string_view code) {
  const ProblemKind& kind = FindProblem(code);
  return JsonObject()
      .Set("type", "about:blank")
      .Set("title", kind.title)
      .Set("status", kind.status)
      .Set("detail", kind.detail.empty() ? std::string_view("the thing, and the reason") : kind.detail)
      .Set("code", kind.code)
      .Set("request_id", "9f86d081884c7d65")
      .Take();
}

class Document {
 public:
  explicit Document(const JsonValue& source) : source_(source) {}

  std::string Write(std::string_view base_path) {
    JsonObject info;
    info.Set("title", "reeve").Set("version", REEVE_VERSION);
    info.Set("description",
             "An orchestrator daemon for agents. Its API.md describes the rules behind each route.");
    info.SetRaw("license", R"({"name":"MIT","identifier":"MIT"})");
    return JsonObject()
        .Set("openapi", "3.1.0")
        .SetRaw("info", info.Take())
        .SetRaw("servers", "[" + JsonObject().Set("url", base_path.empty() ? "/" : base_path).Take() + "]")
        .SetRaw("security", R"([{"token":[]}])")
        .SetRaw("paths", Paths())
        .SetRaw("components", Components())
        .SetRaw("x-reeve-gateway-methods", Methods())
        .Take();
  }

 private:
  std::string Paths() {
    std::map<std::string, JsonObject> paths;
    for (const Operation& operation : Operations()) {
      std::string method(operation.method);
      std::transform(method.begin(), method.end(), method.begin(),
                     [](unsigned char c) { return std::tolower(c); });
      paths[std::string(operation.path)].SetRaw(method, Describe(operation));
    }
    for (const auto& [path, methods] : source_["paths"].Members()) {
      for (const auto& [method, one] : methods.Members())
        paths[std::string(path)].SetRaw(method, WithErrors(one));
    }
    JsonObject all;
    for (auto& [path, methods] : paths) all.SetRaw(path, methods.Take());
    return all.Take();
  }

  // The methods that only GET /ws has, by name, with the schemas of `params` and `result`, and the codes of
  // their errors.
  static std::string Methods() {
    JsonObject all;
    for (const Operation& method : GatewayMethods()) {
      JsonObject one;
      one.Set("summary", method.text)
          .Set("x-reeve-scope", ScopeOf(method))
          .SetRaw("params",
                  MembersSchema(method).value_or(R"({"type":"object","additionalProperties":false})"));
      const std::string_view schema = method.answers.front().schema;
      one.SetRaw("result", schema.empty() ? R"({"type":"null"})" : Reference(schema));
      one.SetRaw("x-reeve-errors", Strings(ErrorsOfMethod(method)));
      all.SetRaw(method.name, one.Take());
    }
    return all.Take();
  }

  static const char* ScopeOf(const Operation& operation) {
    static constexpr const char* kScopes[] = {"none", "view", "operate", "admin"};
    return kScopes[static_cast<size_t>(operation.access)];
  }

  std::string Describe(const Operation& operation) {
    JsonObject json;
    json.Set("operationId", operation.name).Set("summary", operation.text);
    if (operation.access == Access::kOpen) json.SetRaw("security", R"([{},{"token":[]}])");
    json.Set("x-reeve-scope", ScopeOf(operation));
    JsonArray parameters;
    bool any = false;
    for (const Parameter& parameter : operation.parameters) {
      if (parameter.in != In::kPath && parameter.in != In::kQuery) continue;
      const bool path = parameter.in == In::kPath;
      JsonObject one;
      one.Set("name", parameter.name).Set("in", path ? "path" : "query");
      if (path) one.Set("required", true);
      parameters.AddRaw(one.Set("description", parameter.text).SetRaw("schema", SchemaOf(parameter)).Take());
      any = true;
    }
    if (operation.takes_key()) {
      parameters.AddRaw(
          R"({"name":"Idempotency-Key","in":"header","description":"Makes the request safe to repeat.",)"
          R"("schema":{"type":"string","minLength":1,"maxLength":255}})");
      any = true;
    }
    const std::string list = parameters.Take();
    if (any) json.SetRaw("parameters", list);
    if (const std::string body = Body(operation); !body.empty()) json.SetRaw("requestBody", body);
    Responses responses;
    AddAnswers(responses, operation);
    AddErrors(responses, ErrorsOf(operation));
    return json.SetRaw("responses", TextOf(responses)).Take();
  }

  static std::string Body(const Operation& operation) {
    for (const Parameter& parameter : operation.parameters) {
      if (parameter.in != In::kWhole) continue;
      const bool bytes = parameter.type == Type::kBytes;
      const std::string schema = JsonObject().SetRaw("schema", SchemaOf(parameter)).Take();
      return JsonObject()
          .Set("description", parameter.text)
          .Set("x-reeve-parameter", parameter.name)  // its name among the params of JSON-RPC
          .Set("required", !bytes)
          .SetRaw("content", JsonObject().SetRaw(bytes ? "application/octet-stream" : kJson, schema).Take())
          .Take();
    }
    const auto schema = MembersSchema(operation);
    if (!schema) return {};
    const bool required =
        std::any_of(operation.parameters.begin(), operation.parameters.end(),
                    [](const Parameter& one) { return one.in == In::kBody && one.required; });
    const std::string media = JsonObject().SetRaw("schema", *schema).Take();
    return JsonObject()
        .Set("required", required)
        .SetRaw("content", JsonObject().SetRaw(kJson, media).Take())
        .Take();
  }

  // The object of those parameters that are members of a body; nothing if there are none.
  static std::optional<std::string> MembersSchema(const Operation& operation) {
    JsonObject properties;
    std::vector<std::string_view> required;
    for (const Parameter& parameter : operation.parameters) {
      if (parameter.in != In::kBody) continue;
      std::string schema = SchemaOf(parameter);
      schema.back() = ',';
      schema += JsonObject().Set("description", parameter.text).Take().substr(1);
      properties.SetRaw(parameter.name, schema);
      if (parameter.required) required.push_back(parameter.name);
    }
    if (properties.empty()) return std::nullopt;
    JsonObject schema;
    schema.Set("type", "object").SetRaw("properties", properties.Take()).Set("additionalProperties", false);
    if (!required.empty()) schema.SetRaw("required", Strings(required));
    return schema.Take();
  }

  // By status. An answer and an error may have the same one.
  struct Described {
    std::string description;
    JsonObject content;
  };
  using Responses = std::map<std::string, Described, std::less<>>;

  static std::string TextOf(Responses& responses) {
    JsonObject all;
    for (auto& [status, one] : responses) {
      JsonObject json;
      json.Set("description", one.description);
      if (!one.content.empty()) json.SetRaw("content", one.content.Take());
      all.SetRaw(status, json.Take());
    }
    return all.Take();
  }

  void AddAnswers(Responses& responses, const Operation& operation) const {
    for (const Operation::Answer& answer : operation.answers) {
      Described& of_status = responses[std::to_string(answer.status)];
      of_status.description = answer.status == 204 ? "There is nothing to answer." : operation.text;
      if (answer.schema.empty()) continue;
      JsonObject one;
      one.SetRaw("schema", answer.media == "text/plain" ? R"({"type":"string"})" : Reference(answer.schema));
      if (const JsonValue example = ExampleOf(answer.schema)) one.SetRaw("example", example.Raw());
      of_status.content.SetRaw(answer.media, one.Take());
    }
  }

  [[nodiscard]] JsonValue ExampleOf(std::string_view schema) const {
    if (schema == "Agent") schema = "AgentState";  // the example has the whole agent
    return source_["schemas"][schema]["examples"].At(0);
  }

  static std::vector<std::string_view> ErrorsOf(const Operation& operation) {
    std::vector<std::string_view> codes(std::begin(kAlways), std::end(kAlways));
    codes.emplace_back("unauthorized");  // a wrong token is refused everywhere
    if (operation.access != Access::kOpen) codes.emplace_back("forbidden");
    if (!operation.any_query) codes.emplace_back("invalid_request");
    if (operation.takes_key()) codes.insert(codes.end(), {"key_reused", "request_under_way"});
    if (operation.reads_members()) codes.emplace_back("invalid_json");
    for (const Parameter& parameter : operation.parameters) {
      const bool body = parameter.in == In::kBody || parameter.in == In::kWhole;
      if (parameter.type == Type::kAgent) codes.emplace_back("agent_deleted");
      if (parameter.type == Type::kAgent || parameter.type == Type::kAnyAgent)
        codes.emplace_back("agent_not_found");
      if (body && parameter.type != Type::kBytes) codes.emplace_back("invalid_json");
      if (body) codes.insert(codes.end(), {"too_large", "too_many_requests"});
    }
    codes.insert(codes.end(), operation.errors.begin(), operation.errors.end());
    return codes;
  }

  // A caller of GET /ws has at least the scope view, which is enough for its methods.
  static std::vector<std::string_view> ErrorsOfMethod(const Operation& method) {
    std::vector<std::string_view> codes(std::begin(kAlways), std::end(kAlways));
    codes.insert(codes.end(), {"invalid_request", "too_many_requests"});
    codes.insert(codes.end(), method.errors.begin(), method.errors.end());
    return EachOnce(std::move(codes));
  }

  static std::vector<std::string_view> EachOnce(std::vector<std::string_view> codes) {
    std::sort(codes.begin(), codes.end());
    codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
    return codes;
  }

  // An example for each code.
  static void AddErrors(Responses& responses, std::vector<std::string_view> codes) {
    codes = EachOnce(std::move(codes));
    std::map<std::string, std::vector<std::string_view>> by_status;
    for (const std::string_view code : codes)
      by_status[std::to_string(FindProblem(code).status)].push_back(code);
    for (const auto& [status, of_status] : by_status) {
      Described& one = responses[status];
      JsonObject examples;
      for (const std::string_view code : of_status) {
        one.description.append(one.description.empty() ? "" : ", ").append(code);
        examples.SetRaw(code, JsonObject().SetRaw("value", ProblemExample(code)).Take());
      }
      JsonObject media;
      media.SetRaw("schema", Reference("Problem")).SetRaw("examples", examples.Take());
      one.content.SetRaw("application/problem+json", media.Take());
    }
  }

  // A path of schemas.json, with the responses that "x-reeve-errors" names. Its own responses have other
  // statuses.
  static std::string WithErrors(const JsonValue& path) {
    JsonObject json;
    for (const auto& [key, value] : path.Members()) {
      if (key == "x-reeve-errors" || key == "responses") continue;
      json.SetRaw(key, value.Raw());
    }
    std::vector<std::string_view> codes(std::begin(kAlways), std::end(kAlways));
    codes.emplace_back("unauthorized");
    if (!path["security"]) codes.emplace_back("forbidden");
    const std::vector<JsonValue> named = path["x-reeve-errors"].Elements();
    for (const JsonValue& code : named) codes.push_back(code.StringOr(""));
    Responses errors;
    AddErrors(errors, std::move(codes));
    const std::string own = path["responses"].Raw();
    return json.SetRaw("responses", own.substr(0, own.rfind('}')) + "," + TextOf(errors).substr(1)).Take();
  }

  [[nodiscard]] std::string Components() const {
    JsonObject schemas;
    const JsonValue given = source_["schemas"];
    for (const auto& [name, schema] : given.Members()) {
      if (name != "AgentState") schemas.SetRaw(name, schema.Raw());
    }
    schemas.SetRaw("Agent", AgentSchema());
    schemas.SetRaw("AgentPatch", PatchSchema());
    schemas.SetRaw("Problem", ProblemSchema());
    AddEvents(schemas);
    JsonObject token;
    token.Set("type", "http").Set("scheme", "bearer");
    return JsonObject()
        .SetRaw("securitySchemes", JsonObject().SetRaw("token", token.Take()).Take())
        .SetRaw("schemas", schemas.Take())
        .Take();
  }

  // An agent in an answer is its spec with further members, some in place of the spec's.
  [[nodiscard]] std::string AgentSchema() const {
    const JsonValue state = source_["schemas"]["AgentState"];
    JsonObject properties;
    for (const auto& [name, schema] : source_["schemas"]["AgentSpec"]["properties"].Members()) {
      if (!state["properties"][name]) properties.SetRaw(name, schema.Raw());
    }
    for (const auto& [name, schema] : state["properties"].Members()) properties.SetRaw(name, schema.Raw());
    JsonArray required;
    for (const std::string_view name : {"id", "kind"}) required.Add(name);
    for (const JsonValue& name : state["required"].Elements()) required.Add(name.StringOr(""));
    return JsonObject()
        .Set("type", "object")
        .SetRaw("required", required.Take())
        .SetRaw("properties", properties.Take())
        .SetRaw("examples", state["examples"].Raw())
        .Take();
  }

  [[nodiscard]] std::string PatchSchema() const {
    JsonObject properties;
    for (const std::string_view field : Town::kChangeable) {
      const std::string schema = source_["schemas"]["AgentSpec"]["properties"][field].Raw();
      properties.SetRaw(field, R"({"anyOf":[)" + schema + R"(,{"type":"null"}]})");
    }
    return JsonObject()
        .Set("description", "A JSON Merge Patch (RFC 7396); null removes a member.")
        .Set("type", "object")
        .SetRaw("properties", properties.Take())
        .Set("additionalProperties", false)
        .SetRaw("examples", R"([{"title":"the parser","labels":{"team":"web"},"limits":{"wall_ms":300000}}])")
        .Take();
  }

  static std::string ProblemSchema() {
    JsonArray codes;
    for (const ProblemKind& kind : Problems()) codes.Add(kind.code);
    JsonObject properties;
    for (const std::string_view text : {"type", "title", "detail", "request_id"})
      properties.SetRaw(text, R"({"type":"string"})");
    properties.SetRaw("status", R"({"type":"integer"})");
    properties.SetRaw("code", JsonObject().Set("type", "string").SetRaw("enum", codes.Take()).Take());
    return JsonObject()
        .Set("description", "An error (RFC 9457). `code` is stable.")
        .Set("type", "object")
        .SetRaw("required", R"(["type","title","status","detail","code","request_id"])")
        .SetRaw("properties", properties.Take())
        .SetRaw("examples", "[" + ProblemExample("agent_not_found") + "]")
        .Take();
  }

  // "tool.started" has the schema EventToolStarted; an Event is one of these, or of a type that is not known
  // yet.
  void AddEvents(JsonObject& schemas) const {
    JsonArray types;
    JsonObject mapping;
    for (const auto& [type, data] : source_["events"].Members()) {
      std::string name = "Event";
      bool upper = true;
      for (const char c : type) {
        if (c != '.') name += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
        upper = c == '.';
      }
      JsonObject properties = EnvelopeProperties();
      properties.SetRaw("type", JsonObject().Set("const", type).Take());
      std::string bare = data.Raw();
      properties.SetRaw("data", bare);
      JsonObject example;
      example.Set("agent", "a1").Set("epoch", 1).Set("seq", 5).Set("time", "2026-01-31T08:00:00.020Z");
      example.Set("type", type).SetRaw("data", data["examples"].At(0).Raw());
      schemas.SetRaw(name, JsonObject()
                               .Set("type", "object")
                               .SetRaw("required", kEnvelopeRequired)
                               .SetRaw("properties", properties.Take())
                               .SetRaw("examples", "[" + example.Take() + "]")
                               .Take());
      types.AddRaw(Reference(name));
      mapping.Set(type, "#/components/schemas/" + name);
    }
    JsonObject discriminator;
    discriminator.Set("propertyName", "type").SetRaw("mapping", mapping.Take());
    schemas.SetRaw(
        "KnownEvent",
        JsonObject().SetRaw("oneOf", types.Take()).SetRaw("discriminator", discriminator.Take()).Take());
    JsonObject properties = EnvelopeProperties();
    properties.SetRaw("type", R"({"type":"string"})").SetRaw("data", R"({"type":"object"})");
    schemas.SetRaw(
        "Event", JsonObject()
                     .Set("description",
                          "The envelope of an event: a KnownEvent, or one of a type that is not listed here.")
                     .Set("type", "object")
                     .SetRaw("required", kEnvelopeRequired)
                     .SetRaw("properties", properties.Take())
                     .Take());
  }

  static JsonObject EnvelopeProperties() {
    JsonObject properties;
    properties.SetRaw("agent", Reference("AgentId"));
    properties.SetRaw("epoch", R"({"type":"integer"})").SetRaw("seq", R"({"type":"integer"})");
    properties.SetRaw("time", Reference("Time")).SetRaw("run", R"({"type":"string"})");
    return properties;
  }

  static constexpr const char* kEnvelopeRequired = R"(["agent","epoch","seq","time","type","data"])";

  JsonValue source_;
};

// The schemas of the document, by name.
JsonValue NamedSchemas() {
  static const JsonDocument document = JsonDocument::Parse(OpenApiDocument("")).value();
  return document["components"]["schemas"];
}

// The schema without references and examples. No schema refers to itself.
std::string Resolved(const JsonValue& schema) {
  if (schema.Is(JsonType::kArray)) {
    JsonArray array;
    for (const JsonValue& element : schema.Elements()) array.AddRaw(Resolved(element));
    return array.Take();
  }
  if (!schema.Is(JsonType::kObject)) return schema.Raw();
  JsonObject object;
  if (const auto reference = schema["$ref"].AsString()) {
    const JsonValue named = NamedSchemas()[reference->substr(reference->rfind('/') + 1)];
    for (const auto& [key, value] : named.Members()) {
      if (key != "examples" && !schema[key]) object.SetRaw(key, Resolved(value));
    }
  }
  for (const auto& [key, value] : schema.Members()) {
    if (key != "examples" && key != "$ref") object.SetRaw(key, Resolved(value));
  }
  return object.Take();
}

std::string Resolved(const std::string& schema) { return Resolved(JsonDocument::Parse(schema)->root()); }

}  // namespace

std::string ParamsSchema(const Operation& operation, const std::vector<std::string_view>& only) {
  if (operation.params_are_whole()) return Resolved(Reference(operation.parameters.front().schema));
  JsonObject properties;
  std::vector<std::string_view> required;
  for (const Parameter& parameter : operation.parameters) {
    if (!only.empty() && std::find(only.begin(), only.end(), parameter.name) == only.end()) continue;
    std::string schema = SchemaOf(parameter);
    schema.back() = ',';
    schema += JsonObject().Set("description", parameter.text).Take().substr(1);
    properties.SetRaw(parameter.name, schema);
    if (parameter.required) required.push_back(parameter.name);
  }
  JsonObject schema;
  schema.Set("type", "object").SetRaw("properties", properties.Take()).Set("additionalProperties", false);
  if (!required.empty()) schema.SetRaw("required", Strings(required));
  return Resolved(schema.Take());
}

std::string AnswerSchema(const Operation& operation) {
  bool empty = false;
  for (const Operation::Answer& answer : operation.answers) empty = empty || answer.schema.empty();
  const std::string_view name = operation.answers.front().schema;
  if (name.empty()) return R"({"type":"object"})";
  const std::string reference = Reference(name);
  if (!empty && NamedSchemas()[name]["type"].StringOr("") == "object") return Resolved(reference);
  JsonArray either;
  either.AddRaw(reference);
  if (empty) either.AddRaw(R"({"type":"object","maxProperties":0})");
  return Resolved(JsonObject().Set("type", "object").SetRaw("anyOf", either.Take()).Take());
}

std::string OpenApiDocument(std::string_view base_path) {
  const auto source = JsonDocument::Parse(ApiAssets().front().bytes);
  return Document(source.value().root()).Write(base_path);
}

}  // namespace reeve
