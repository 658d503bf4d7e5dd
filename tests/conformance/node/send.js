// node send.js json|proto|grpc none|gzip URL: one trace through the stock exporter; prints its id.
const { SpanKind, SpanStatusCode, context, trace } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');

const [kind, compression, url] = process.argv.slice(2);
const { OTLPTraceExporter } = require(
  `@opentelemetry/exporter-trace-otlp-${{ json: 'http', proto: 'proto', grpc: 'grpc' }[kind]}`,
);
const exporter = new OTLPTraceExporter({ url, compression });
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': `node-${kind}`, 'process.pid': process.pid }),
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
const tracer = provider.getTracer('conformance', '1.0');

const outer = tracer.startSpan('outer', {
  kind: SpanKind.SERVER,
  attributes: { text: 'ü', whole: 7, half: 0.5, yes: true, list: ['a', 'b'] },
});
const inner = tracer.startSpan(
  'inner',
  { kind: SpanKind.PRODUCER, links: [{ context: outer.spanContext(), attributes: { why: 'test' } }] },
  trace.setSpan(context.active(), outer),
);
inner.addEvent('happened', { n: 1 });
inner.setStatus({ code: SpanStatusCode.ERROR, message: 'broken' });
inner.end();
outer.end();

// what cannot be sent must fail the test, not only be logged
const ended = new Promise((resolve) => {
  const send = exporter.export.bind(exporter);
  exporter.export = (spans, done) => send(spans, (result) => { done(result); resolve(result); });
});
provider.forceFlush().catch(() => {});
ended.then(async (result) => {
  await provider.shutdown();
  console.log(JSON.stringify({ trace_id: outer.spanContext().traceId, code: result.code, error: String(result.error ?? '') }));
});
