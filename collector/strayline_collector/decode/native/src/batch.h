// The columns of `spans`, in the order of decode/python.py's SCHEMA.
#pragma once

#include <cstdint>

#include "columns.h"

namespace strayline {

struct Batch {
    NumberColumn<int64_t> received_ns;
    TextColumn trace_id;
    TextColumn span_id;
    TextColumn parent_span_id;
    TextColumn trace_state;
    NumberColumn<uint32_t> flags;
    TextColumn name;
    NumberColumn<uint8_t> kind;
    NumberColumn<int64_t> start_ns;
    NumberColumn<int64_t> end_ns;
    NumberColumn<uint8_t> status_code;
    TextColumn status_message;
    TextColumn service;
    TextColumn environment;
    TextColumn process;
    TextColumn host;
    TextColumn scope_name;
    TextColumn http_method;
    NumberColumn<int16_t> http_status_code;
    TextColumn http_route;
    TextColumn url_path;
    TextColumn rpc_system;
    TextColumn rpc_service;
    TextColumn rpc_method;
    TextColumn rpc_status;
    TextColumn messaging_system;
    TextColumn messaging_operation;
    TextColumn db_system;
    TextColumn server_address;
    NumberColumn<int32_t> server_port;
    TextColumn peer_service;
    TextColumn attributes;
    TextColumn events;
    TextColumn links;
    TextColumn resource;
    TextColumn scope;
    TextColumn dropped;
    size_t rows = 0;

    // Each column with its name, in order: visit("received_ns", received_ns), …
    template <typename Visit>
    void each(Visit&& visit) {
        visit("received_ns", received_ns);
        visit("trace_id", trace_id);
        visit("span_id", span_id);
        visit("parent_span_id", parent_span_id);
        visit("trace_state", trace_state);
        visit("flags", flags);
        visit("name", name);
        visit("kind", kind);
        visit("start_ns", start_ns);
        visit("end_ns", end_ns);
        visit("status_code", status_code);
        visit("status_message", status_message);
        visit("service", service);
        visit("environment", environment);
        visit("process", process);
        visit("host", host);
        visit("scope_name", scope_name);
        visit("http_method", http_method);
        visit("http_status_code", http_status_code);
        visit("http_route", http_route);
        visit("url_path", url_path);
        visit("rpc_system", rpc_system);
        visit("rpc_service", rpc_service);
        visit("rpc_method", rpc_method);
        visit("rpc_status", rpc_status);
        visit("messaging_system", messaging_system);
        visit("messaging_operation", messaging_operation);
        visit("db_system", db_system);
        visit("server_address", server_address);
        visit("server_port", server_port);
        visit("peer_service", peer_service);
        visit("attributes", attributes);
        visit("events", events);
        visit("links", links);
        visit("resource", resource);
        visit("scope", scope);
        visit("dropped", dropped);
    }
};

}  // namespace strayline
