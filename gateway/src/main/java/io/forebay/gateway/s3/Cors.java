package io.forebay.gateway.s3;

import io.forebay.gateway.http.Header;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Answers to pages of other origins (the Fetch standard's CORS protocol, by S3's rules). */
record Cors(List<CorsRule> rules) {
  Cors {
    rules = List.copyOf(rules);
  }

  /** What an answer to this request says to its page; nothing when no rule fits. */
  List<Header> of(S3Request request) {
    Optional<String> origin = request.header("origin");
    if (origin.isEmpty()) {
      return List.of();
    }
    return rules.stream()
        .filter(rule -> rule.allows(origin.get(), request.method()))
        .findFirst()
        .map(rule -> {
          List<Header> headers = allowed(rule, origin.get());
          if (!rule.exposed().isEmpty()) {
            headers.add(
                new Header("Access-Control-Expose-Headers", String.join(", ", rule.exposed())));
          }
          return headers;
        })
        .orElse(List.of());
  }

  /**
   * The answer's headers to a preflight.
   *
   * @throws S3Refusal BAD_REQUEST when it is none; ACCESS_FORBIDDEN when no rule fits
   */
  List<Header> preflight(S3Request request) {
    String origin =
        request
            .header("origin")
            .orElseThrow(() ->
                new S3Refusal(
                    S3Code.BAD_REQUEST, "Insufficient information. Origin request header needed."));
    String method =
        request
            .header("access-control-request-method")
            .orElseThrow(() ->
                new S3Refusal(S3Code.BAD_REQUEST, "Invalid Access-Control-Request-Method: null"));
    var wanted = new ArrayList<String>();
    for (String name : request.header("access-control-request-headers").orElse("").split(",", -1)) {
      if (!name.isBlank()) {
        wanted.add(name.strip().toLowerCase(Locale.ROOT));
      }
    }
    CorsRule rule =
        rules.stream()
            .filter(each -> each.allows(origin, method))
            .filter(each -> wanted.stream().allMatch(each::allowsHeader))
            .findFirst()
            .orElseThrow(() ->
                new S3Refusal(
                    S3Code.ACCESS_FORBIDDEN,
                    rules.isEmpty()
                        ? "CORSResponse: CORS is not enabled for this bucket."
                        : "CORSResponse: This CORS request is not allowed. This is usually because"
                            + " the evaluation of Origin, request method /"
                            + " Access-Control-Request-Method or Access-Control-Request-Headers are"
                            + " not whitelisted by the resource's CORS spec."));
    List<Header> headers = allowed(rule, origin);
    if (!wanted.isEmpty()) {
      headers.add(new Header("Access-Control-Allow-Headers", String.join(", ", wanted)));
    }
    if (rule.maxAgeSeconds() > 0) {
      headers.add(new Header("Access-Control-Max-Age", Integer.toString(rule.maxAgeSeconds())));
    }
    return headers;
  }

  private static List<Header> allowed(CorsRule rule, String origin) {
    var headers = new ArrayList<Header>();
    headers.add(new Header("Access-Control-Allow-Origin", rule.forAll() ? "*" : origin));
    headers.add(new Header("Access-Control-Allow-Methods", String.join(", ", rule.methods())));
    if (!rule.forAll()) {
      headers.add(new Header("Access-Control-Allow-Credentials", "true"));
    }
    headers.add(
        new Header(
            "Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"));
    return headers;
  }

  /** GetBucketCors: the door's rules are every bucket's. */
  void get(S3Call call) {
    if (rules.isEmpty()) {
      throw new S3Refusal(S3Code.NO_SUCH_CORS, "The CORS configuration does not exist");
    }
    var xml = new XmlText("CORSConfiguration");
    for (CorsRule rule : rules) {
      xml.open("CORSRule");
      rule.origins().forEach(each -> xml.leaf("AllowedOrigin", each));
      rule.methods().forEach(each -> xml.leaf("AllowedMethod", each));
      rule.headers().forEach(each -> xml.leaf("AllowedHeader", each));
      rule.exposed().forEach(each -> xml.leaf("ExposeHeader", each));
      xml.leaf("MaxAgeSeconds", rule.maxAgeSeconds()).close("CORSRule");
    }
    call.answer(200, xml);
  }
}
