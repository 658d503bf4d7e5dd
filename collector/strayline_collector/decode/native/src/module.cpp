// The Python module `_decoder`: arguments in, results out, errors as ValueError and MemoryError.
// Limited API, so that one build serves every Python from 3.11 on.
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <exception>
#include <new>
#include <string>

#include "arrow_export.h"
#include "decode.h"
#include "examine.h"
#include "from_json.h"
#include "wire.h"

namespace {

// Runs `work` without the GIL. Returns false, with Python's error set, when it threw.
template <typename Work>
bool without_gil(Work&& work) {
    std::string bad;
    bool memory = false;
    bool input = false;
    PyThreadState* thread = PyEval_SaveThread();
    try {
        work();
    } catch (const std::bad_alloc&) {
        memory = true;
    } catch (const strayline::BadInput& error) {
        input = true;
        try {
            bad = error.what();
        } catch (...) {
            memory = true;
        }
    } catch (...) {
        memory = true;  // std::length_error: something would be too large for any memory
    }
    PyEval_RestoreThread(thread);
    if (memory) {
        PyErr_NoMemory();
        return false;
    }
    if (input) {
        PyErr_SetString(PyExc_ValueError, bad.c_str());
        return false;
    }
    return true;
}

bool view(PyObject* object, std::string_view& out) {
    char* data = nullptr;
    Py_ssize_t size = 0;
    if (PyBytes_AsStringAndSize(object, &data, &size) != 0) return false;
    out = {data, static_cast<size_t>(size)};
    return true;
}

PyObject* examine(PyObject*, PyObject* body) {
    std::string_view bytes;
    if (!view(body, bytes)) return nullptr;
    strayline::Examined counts;
    if (!without_gil([&] { counts = strayline::accept(bytes); })) return nullptr;
    return Py_BuildValue("KK", static_cast<unsigned long long>(counts.accepted),
                         static_cast<unsigned long long>(counts.rejected));
}

void release_stream(PyObject* capsule) {
    auto* stream =
        static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule, "arrow_array_stream"));
    if (stream == nullptr) {
        PyErr_Clear();
        return;
    }
    if (stream->release != nullptr) stream->release(stream);
    delete stream;
}

// decode(requests: tuple[bytes, ...], received_ns: int). A tuple keeps its items alive meanwhile.
PyObject* decode(PyObject*, PyObject* arguments) {
    PyObject* requests = nullptr;
    long long received_ns = 0;
    if (!PyArg_ParseTuple(arguments, "O!L:decode", &PyTuple_Type, &requests, &received_ns))
        return nullptr;
    const Py_ssize_t count = PyTuple_Size(requests);
    ArrowArrayStream* stream = nullptr;
    try {
        std::vector<std::string_view> bodies(static_cast<size_t>(count));
        for (Py_ssize_t i = 0; i < count; ++i)
            if (!view(PyTuple_GetItem(requests, i), bodies[static_cast<size_t>(i)])) return nullptr;
        if (!without_gil([&] {
                stream = strayline::export_stream(strayline::decode(bodies, received_ns));
            }))
            return nullptr;
    } catch (...) {
        return PyErr_NoMemory();
    }
    PyObject* capsule = PyCapsule_New(stream, "arrow_array_stream", release_stream);
    if (capsule == nullptr) {
        stream->release(stream);
        delete stream;
    }
    return capsule;
}

PyObject* from_json(PyObject*, PyObject* body) {
    std::string_view text;
    if (!view(body, text)) return nullptr;
    strayline::Buffer out;
    if (!without_gil([&] { out = strayline::from_json(text); })) return nullptr;
    return PyBytes_FromStringAndSize(out.data(), static_cast<Py_ssize_t>(out.size()));
}

PyMethodDef methods[] = {
    {"examine", examine, METH_O, "examine(body) -> (accepted, rejected)"},
    {"decode", decode, METH_VARARGS, "decode(requests, received_ns) -> arrow_array_stream capsule"},
    {"from_json", from_json, METH_O, "from_json(body) -> protobuf bytes"},
    {nullptr, nullptr, 0, nullptr},
};

// What it was built from, so that a stale build is not mistaken for a fresh one.
int execute(PyObject* module) {
    return PyModule_AddStringConstant(module, "SOURCES", STRAYLINE_SOURCES);
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(execute)},
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_decoder", "OTLP to Arrow, natively.", 0, methods, slots,
    nullptr,               nullptr,    nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__decoder() { return PyModuleDef_Init(&definition); }
