package io.forebay.gateway.s3;

import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.HttpExchange;
import java.util.ArrayList;
import java.util.List;

/** One authenticated request on its way to be answered. */
record S3Call(HttpExchange exchange, S3Request request, Caller caller, String requestId) {
  /** Headers of an answer, beginning with those that every answer has. */
  List<Header> headers() {
    var headers = new ArrayList<Header>(12);
    headers.add(new Header("x-amz-request-id", requestId));
    headers.add(new Header("Server", "Forebay"));
    return headers;
  }

  void answer(Answer answer) {
    exchange.answer(answer);
  }

  void answer(int status, XmlText document) {
    exchange.answer(document.answer(status, headers()));
  }

  void empty(int status) {
    exchange.answer(Answer.empty(status, headers()));
  }

  /** The small document that the request's body is. */
  XmlElement document(String root) {
    byte[] body = new IncomingBody(request, caller).collect(exchange.body(), XmlElement.MAX_BYTES);
    return XmlElement.parse(body, root);
  }
}
