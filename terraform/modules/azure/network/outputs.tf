output "virtual_network_id" {
  description = "The network."
  value       = azurerm_virtual_network.this.id
}

output "service_subnet" {
  description = "The subnet of the service, as { id, address_prefix }; known once it has a way out."
  value       = { id = azurerm_subnet_nat_gateway_association.service.subnet_id, address_prefix = azurerm_subnet.service.address_prefixes[0] }
  depends_on  = [azurerm_nat_gateway_public_ip_association.this]
}

output "database_subnet_id" {
  description = "The subnet of the database; known once its rules are on it."
  value       = azurerm_subnet_network_security_group_association.database.subnet_id
}

output "endpoints_subnet_id" {
  description = "The subnet of private endpoints."
  value       = azurerm_subnet.endpoints.id
}

output "database_dns_zone_id" {
  description = "The private zone of the database; known once the network asks it."
  value       = replace(azurerm_private_dns_zone_virtual_network_link.database.id, "/\\/virtualNetworkLinks\\/.*$/", "")
}

output "vault_dns_zone_id" {
  description = "The private zone of the key vault; known once the network asks it."
  value       = replace(azurerm_private_dns_zone_virtual_network_link.vault.id, "/\\/virtualNetworkLinks\\/.*$/", "")
}

output "nat_address" {
  description = "The address under which OpenAI sees the service, for its IP allow-list."
  value       = azurerm_public_ip.nat.ip_address
}
