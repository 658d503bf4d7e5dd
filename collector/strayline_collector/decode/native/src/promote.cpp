#include "promote.h"

#include <array>
#include <initializer_list>
#include <optional>

#include "json_text.h"

namespace strayline {
namespace {

using Kind = Value::Kind;

constexpr int32_t kProducer = 4;
constexpr int32_t kConsumer = 5;

// Every name that is looked for, so that one pass over the attributes finds all.
enum Name : uint8_t {
    kHttpRequestMethod,
    kHttpMethod,
    kHttpResponseStatusCode,
    kHttpStatusCode,
    kHttpRoute,
    kUrlPath,
    kHttpTarget,
    kRpcSystemName,
    kRpcSystem,
    kRpcService,
    kRpcMethod,
    kRpcResponseStatusCode,
    kRpcGrpcStatusCode,
    kMessagingSystem,
    kMessagingOperationType,
    kMessagingOperation,
    kMessagingOperationName,
    kDbSystemName,
    kDbSystem,
    kServerAddress,
    kNetPeerName,
    kNetHostName,
    kServerPort,
    kNetPeerPort,
    kNetHostPort,
    kServicePeerName,
    kPeerService,
    kCeleryAction,
    kSpringTemplate,
    kSpringListener,
    kInputAddress,
    kNames,
};

constexpr std::array<std::string_view, kNames> kText = {
    "http.request.method",
    "http.method",
    "http.response.status_code",
    "http.status_code",
    "http.route",
    "url.path",
    "http.target",
    "rpc.system.name",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "rpc.response.status_code",
    "rpc.grpc.status_code",
    "messaging.system",
    "messaging.operation.type",
    "messaging.operation",
    "messaging.operation.name",
    "db.system.name",
    "db.system",
    "server.address",
    "net.peer.name",
    "net.host.name",
    "server.port",
    "net.peer.port",
    "net.host.port",
    "service.peer.name",
    "peer.service",
    "celery.action",
    "spring.rabbit.template.name",
    "spring.rabbit.listener.id",
    "messaging.masstransit.input_address",
};

constexpr size_t kLongest = 35;

constexpr bool lengths_hold() {
    for (const auto& text : kText)
        if (text.size() > kLongest) return false;
    return true;
}
static_assert(lengths_hold());

// Which names have a length: those of length n are kByLength[kStarts[n]] to kByLength[kStarts[n+1]].
struct Index {
    std::array<uint8_t, kNames> by_length{};
    std::array<uint8_t, kLongest + 2> starts{};
};

constexpr Index make_index() {
    Index index;
    uint8_t count = 0;
    for (size_t length = 0; length <= kLongest; ++length) {
        index.starts[length] = count;
        for (uint8_t name = 0; name < kNames; ++name)
            if (kText[name].size() == length) index.by_length[count++] = name;
    }
    index.starts[kLongest + 1] = count;
    return index;
}

constexpr Index kIndex = make_index();

class Found {
  public:
    explicit Found(const std::vector<Attribute>& attributes) {
        for (const Attribute& attribute : attributes) {
            const size_t length = attribute.key.size();
            if (length > kLongest) continue;
            for (size_t i = kIndex.starts[length]; i < kIndex.starts[length + 1]; ++i) {
                const uint8_t name = kIndex.by_length[i];
                if (attribute.key == kText[name]) {
                    values_[name] = &attribute.value;
                    any_ = true;
                    break;
                }
            }
        }
    }
    bool any() const { return any_; }
    const Value* operator[](Name name) const { return values_[name]; }

  private:
    std::array<const Value*, kNames> values_{};
    bool any_ = false;
};

bool has_text(const Value* value) {
    return value != nullptr && (value->kind == Kind::kString || value->kind == Kind::kInt ||
                                value->kind == Kind::kBool);
}

const Value* first_text(const Found& found, std::initializer_list<Name> names) {
    for (const Name name : names)
        if (has_text(found[name])) return found[name];
    return nullptr;
}

void put_text(TextColumn& column, size_t row, const Value* value) {
    if (value != nullptr && as_text(column.text(), *value)) column.end(row);
}

std::optional<int64_t> as_number(const Value& value) {
    if (value.kind == Kind::kInt || value.kind == Kind::kBool) return value.integer;
    if (value.kind != Kind::kString || value.bytes().empty() || value.bytes().size() >= 10) return {};
    int64_t number = 0;
    for (const char byte : value.bytes()) {
        if (byte < '0' || byte > '9') return {};
        number = number * 10 + (byte - '0');
    }
    return number;
}

template <typename T>
void put_number(NumberColumn<T>& column, size_t row, const Found& found,
                std::initializer_list<Name> names, int64_t limit) {
    for (const Name name : names) {
        if (found[name] == nullptr) continue;
        const auto number = as_number(*found[name]);
        if (number && *number >= 0 && *number <= limit)
            return column.put(row, static_cast<T>(*number));
    }
}

void put_path(Batch& batch, const Found& found) {
    const Value* path = first_text(found, {kUrlPath, kHttpTarget});
    if (path == nullptr) return;
    if (path->kind == Kind::kString) {
        batch.url_path.put(batch.rows, path->bytes().substr(0, path->bytes().find('?')));
    } else {
        put_text(batch.url_path, batch.rows, path);
    }
}

// Service and method by themselves, see _called in promote.py.
void put_called(Batch& batch, const Found& found) {
    const Value* service = first_text(found, {kRpcService});
    const Value* method = first_text(found, {kRpcMethod});
    if (method != nullptr && method->kind == Kind::kString) {
        std::string_view text = method->bytes();
        if (!text.empty() && text.front() == '/') text.remove_prefix(1);
        const size_t slash = text.rfind('/');
        if (slash != std::string_view::npos) {
            const auto within = text.substr(0, slash);
            const auto name = text.substr(slash + 1);
            bool agrees = service == nullptr;
            if (!agrees) {
                Buffer said;
                as_text(said, *service);
                agrees = said.view() == within;
            }
            if (!within.empty() && !name.empty() && agrees) {
                batch.rpc_service.put(batch.rows, within);
                batch.rpc_method.put(batch.rows, name);
                return;
            }
        }
    }
    put_text(batch.rpc_service, batch.rows, service);
    put_text(batch.rpc_method, batch.rows, method);
}

std::string_view operation(std::string_view said) {
    if (said == "send" || said == "publish" || said == "create") return "publish";
    if (said == "process" || said == "deliver") return "process";
    if (said == "receive") return "receive";
    if (said == "settle") return "settle";
    return {};
}

// Of spans that name no messaging system, see _is_rabbitmqs in promote.py.
bool is_rabbitmqs(const Found& found) {
    if (found[kMessagingSystem] != nullptr) return false;
    for (const Name name : {kCeleryAction, kSpringTemplate, kSpringListener}) {
        const Value* value = found[name];
        if (value != nullptr && value->kind == Kind::kString) return true;
    }
    const Value* address = found[kInputAddress];
    return address != nullptr && address->kind == Kind::kString && address->bytes().substr(0, 8) == "rabbitmq";
}

void put_operation(Batch& batch, int32_t kind, const Found& found) {
    if (found[kMessagingSystem] == nullptr && !is_rabbitmqs(found)) return;
    for (const Name name : {kMessagingOperationType, kMessagingOperation, kMessagingOperationName}) {
        const Value* value = found[name];
        if (value == nullptr || value->kind != Kind::kString) continue;
        const auto what = operation(value->bytes());
        if (!what.empty()) return batch.messaging_operation.put(batch.rows, what);
    }
    if (kind == kProducer) batch.messaging_operation.put(batch.rows, "publish");
    if (kind == kConsumer) batch.messaging_operation.put(batch.rows, "process");
}

}  // namespace

bool as_text(Buffer& out, const Value& value) {
    switch (value.kind) {
        case Kind::kString: out.put(value.bytes()); return true;
        case Kind::kInt: json_integer(out, value.integer); return true;
        case Kind::kBool: out.put(value.integer != 0 ? "True" : "False"); return true;
        default: return false;
    }
}

void promote(Batch& batch, int32_t kind, const std::vector<Attribute>& attributes) {
    const Found found(attributes);
    if (!found.any()) return;
    const size_t row = batch.rows;
    const auto text = [&](TextColumn& column, std::initializer_list<Name> names) {
        put_text(column, row, first_text(found, names));
    };
    text(batch.http_method, {kHttpRequestMethod, kHttpMethod});
    put_number(batch.http_status_code, row, found, {kHttpResponseStatusCode, kHttpStatusCode}, 0x7FFF);
    text(batch.http_route, {kHttpRoute});
    put_path(batch, found);
    text(batch.rpc_system, {kRpcSystemName, kRpcSystem});
    put_called(batch, found);
    text(batch.rpc_status, {kRpcResponseStatusCode, kRpcGrpcStatusCode});
    if (is_rabbitmqs(found))
        batch.messaging_system.put(row, "rabbitmq");
    else
        text(batch.messaging_system, {kMessagingSystem});
    put_operation(batch, kind, found);
    text(batch.db_system, {kDbSystemName, kDbSystem});
    text(batch.server_address, {kServerAddress, kNetPeerName, kNetHostName});
    put_number(batch.server_port, row, found, {kServerPort, kNetPeerPort, kNetHostPort}, 0x7FFFFFFF);
    text(batch.peer_service, {kServicePeerName, kPeerService});
}

}  // namespace strayline
