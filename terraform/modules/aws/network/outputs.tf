output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "service_subnet_ids" {
  description = "Private subnets, one per zone, for the service; known once they have a way out."
  value       = [for subnet in aws_subnet.service : subnet.id]
  depends_on  = [aws_route.service_out, aws_route_table_association.service]
}

output "load_balancer_subnets" {
  description = "Private subnets of the load balancer alone, as { ids, cidr_blocks }."
  value = {
    ids         = [for subnet in aws_subnet.load_balancer : subnet.id]
    cidr_blocks = [for subnet in aws_subnet.load_balancer : subnet.cidr_block]
  }
}

output "database_subnet_ids" {
  description = "Private subnets without a way out, one per zone: for the database."
  value       = [for subnet in aws_subnet.database : subnet.id]
}

output "cidr_block" {
  description = "Addresses of the network, for `client_cidr_blocks` where the apps run in it."
  value       = aws_vpc.this.cidr_block
}

output "nat_addresses" {
  description = "The addresses under which OpenAI sees the service, for its IP allow-list."
  value       = [for address in aws_eip.nat : address.public_ip]
}
