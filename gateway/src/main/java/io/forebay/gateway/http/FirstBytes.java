package io.forebay.gateway.http;

import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.ApplicationProtocolConfig.Protocol;
import io.netty.handler.ssl.ApplicationProtocolConfig.SelectedListenerFailureBehavior;
import io.netty.handler.ssl.ApplicationProtocolConfig.SelectorFailureBehavior;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.OptionalSslHandler;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslProvider;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * What a client of a TLS port says first: a handshake, whereupon TLS takes this handler's place; or
 * something else, which its connection then refuses in plain words. Until then a connection costs
 * no TLS engine.
 */
final class FirstBytes extends OptionalSslHandler {
  private static final long MAX_HANDSHAKE_NANOS = 10_000_000_000L;

  private final Connection connection;
  private final long handshakeNanos;

  /**
   * @param idleNanos bound of the handshake, which takes 10 s at most
   */
  FirstBytes(SslContext context, Connection connection, long idleNanos) {
    super(context);
    this.connection = connection;
    this.handshakeNanos = Math.min(idleNanos, MAX_HANDSHAKE_NANOS);
  }

  /**
   * TLS 1.3 and 1.2 by the JDK's own provider; HTTP/1.1 is all that is offered (ALPN).
   *
   * @throws SSLException when the JDK cannot use the key or certificate
   */
  static SslContext context(TlsIdentity identity) throws SSLException {
    return SslContextBuilder.forServer(identity.key(), identity.chain())
        .sslProvider(SslProvider.JDK)
        .protocols("TLSv1.3", "TLSv1.2")
        .applicationProtocolConfig(
            new ApplicationProtocolConfig(
                Protocol.ALPN,
                SelectorFailureBehavior.NO_ADVERTISE,
                SelectedListenerFailureBehavior.ACCEPT,
                ApplicationProtocolNames.HTTP_1_1))
        .build();
  }

  @Override
  protected SslHandler newSslHandler(ChannelHandlerContext context, SslContext tls) {
    SslHandler handler = super.newSslHandler(context, tls);
    handler.setHandshakeTimeout(handshakeNanos, TimeUnit.NANOSECONDS);
    return handler;
  }

  @Override
  protected @Nullable ChannelHandler newNonSslHandler(ChannelHandlerContext context) {
    connection.speaksPlainly();
    return null;
  }
}
