package io.forebay.gateway.s3;

import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.HttpExchange;
import java.util.ArrayList;
import java.util.List;

/**
 * One authenticated request on its way to be answered.
 *
 * @param always headers of every answer to it, beside the request's id
 */
record S3Call(
    HttpExchange exchange,
    S3Request request,
    Caller caller,
    String requestId,
    List<Header> always) {
  /** Headers of an answer, beginning with those that every answer has. */
  List<Header> headers() {
    var headers = new ArrayList<Header>(12);
    headers.add(new Header("x-amz-request-id", requestId));
    headers.add(new Header("Server", "Forebay"));
    headers.addAll(always);
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
    return XmlElement.parse(collect(IncomingBody.Sums.OF_BODY), root);
  }

  /** The same where x-amz-checksum-... headers are about something else than the body. */
  XmlElement documentUnderSums(String root) {
    return XmlElement.parse(collect(IncomingBody.Sums.OF_OBJECT), root);
  }

  private byte[] collect(IncomingBody.Sums sums) {
    return new IncomingBody(request, caller, sums).collect(exchange.body(), XmlElement.MAX_BYTES);
  }
}
